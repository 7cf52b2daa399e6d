//! `test.sh`, with a `cargo` that only pretends to build.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Puts `harmony` where it belongs, one that prints its arguments; counts its calls.
const CARGO: &str = r#"#!/bin/sh
echo call >> "$LOG"
test -e "$ROOT/src/broken" && { echo "error: broken"; exit 101; }
mkdir -p "$ROOT/target/release"
cd "$ROOT/target/release"
printf '#!/bin/sh\necho "harmony $*; $HARMONY_CONFIG; $HARMONY_BIN_DIR"\n' > harmony
cp harmony zerobuffer-serve
chmod +x harmony zerobuffer-serve
"#;

struct Clone {
    folder: tempfile::TempDir,
}

impl Clone {
    fn new() -> Clone {
        let clone = Clone {
            folder: tempfile::tempdir().unwrap(),
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("test.sh");
        fs::copy(script, clone.path().join("test.sh")).unwrap();
        fs::create_dir_all(clone.path().join("src")).unwrap();
        fs::create_dir(clone.path().join("path")).unwrap();
        for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs", "src/old.rs"] {
            fs::write(clone.path().join(file), "").unwrap();
        }
        let cargo = clone.path().join("path/cargo");
        fs::write(&cargo, CARGO).unwrap();
        fs::set_permissions(cargo, PermissionsExt::from_mode(0o755)).unwrap();
        clone
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let path = format!("{}:/usr/bin:/bin", self.path().join("path").display());
        let mut command = Command::new(self.path().join("test.sh"));
        command
            .args(arguments)
            .current_dir("/")
            .env_clear()
            .env("PATH", path)
            .env("ROOT", self.path())
            .env("LOG", self.path().join("path/log"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn builds(&self) -> usize {
        let log = fs::read_to_string(self.path().join("path/log")).unwrap_or_default();
        log.lines().count()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn arguments_are_handed_on() {
    let clone = Clone::new();
    let root = fs::canonicalize(clone.path())
        .unwrap()
        .display()
        .to_string();
    for (arguments, expected) in [
        (&["rust_cpp", "13.1"][..], "harmony run rust_cpp 13.1"),
        (&["13.*", "a b"], "harmony run 13.* a b"),
        (&["--help"], "harmony --help"),
        (&["-h"], "harmony -h"),
        (&["rust", "--help"], "harmony run rust --help"),
        (&["--help", "rust"], "harmony run --help rust"),
        (&[], "harmony run"),
        (&["check", "-v"], "harmony check -v"),
        (&["doctor"], "harmony doctor"),
        (&["report", "-v"], "harmony report -v"),
        (&["merge", "a", "b"], "harmony merge a b"),
        (&["inspect", "--watch"], "harmony inspect --watch"),
        (&["clean", "-n"], "harmony clean -n"),
        (&["completions", "bash"], "harmony completions bash"),
        (&["-v", "list", "rust"], "harmony -v list rust"),
        (&["-q", "rust", "list"], "harmony run -q rust list"),
        (&["--config", "list", "list"], "harmony --config list list"),
        (&["--config=x", "-v", "list"], "harmony --config=x -v list"),
        (&["--config", "x", "rust"], "harmony run --config x rust"),
        (&["--config", "list"], "harmony run --config list"),
    ] {
        let output = clone.run(arguments);
        let expected = format!("{expected}; {root}/harmony.toml; {root}/target/release\n");
        assert_eq!(text(&output.stdout), expected, "{output:?}");
    }
}

#[test]
fn it_builds_only_what_changed() {
    let clone = Clone::new();
    assert_eq!(text(&clone.run(&[]).stderr), "building …\n");
    assert_eq!(text(&clone.run(&[]).stderr), "");
    assert_eq!(clone.builds(), 1);
    let source = clone.path().join("src/lib.rs");
    let changes: [(&str, &dyn Fn()); 5] = [
        ("a change", &|| fs::write(&source, "x").unwrap()),
        ("a new file", &|| {
            fs::write(clone.path().join("src/new.rs"), "").unwrap()
        }),
        ("a removed file", &|| {
            fs::remove_file(clone.path().join("src/old.rs")).unwrap()
        }),
        ("an older time", &|| {
            let file = fs::File::options().write(true).open(&source).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }),
        ("a lost binary", &|| {
            fs::remove_file(clone.path().join("target/release/zerobuffer-serve")).unwrap();
        }),
    ];
    for (count, (what, change)) in changes.iter().enumerate() {
        change();
        clone.run(&[]);
        assert_eq!(clone.builds(), count + 2, "after {what}");
        clone.run(&[]);
        assert_eq!(clone.builds(), count + 2, "again after {what}");
    }
}

#[test]
fn it_builds_though_nobody_hears_it() {
    let clone = Clone::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = clone.command(&["rust"]).stderr(full).output().unwrap();
    assert_eq!(clone.builds(), 1);
    let said = text(&output.stdout);
    assert!(said.starts_with("harmony run rust;"), "{output:?}");
}

#[test]
fn a_failed_build_is_shown_and_tried_again() {
    let clone = Clone::new();
    clone.run(&[]);
    fs::write(clone.path().join("src/broken"), "").unwrap();
    for _ in 0..2 {
        let output = clone.run(&["rust"]);
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(
            text(&output.stderr),
            "building …\nerror: broken\ntest.sh: the build failed\n"
        );
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_missing_cargo_is_told() {
    let clone = Clone::new();
    fs::remove_file(clone.path().join("path/cargo")).unwrap();
    let output = clone.run(&["rust"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        text(&output.stderr).contains("cargo is not in PATH"),
        "{output:?}"
    );
}
