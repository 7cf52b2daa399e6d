//! `harmony clean`, in a sandbox: there is nothing but what the test puts there.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use zerobuffer::{BufferConfig, BufferName, Reader};

use crate::sandbox::is_possible;

const SHM: &str = "dev/shm";
const LOCKS: &str = "tmp/zerobuffer";

/// A process that keeps a sandbox.
struct Sandbox(Child);

impl Sandbox {
    /// `None` where the system allows none.
    fn new() -> Option<Sandbox> {
        if !is_possible() {
            return None;
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_harmony"))
            .args(["hold-sandbox", "16"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        let sandbox = Sandbox(child);
        assert_eq!(said, "ready\n");
        Some(sandbox)
    }

    fn path(&self, relative: &str) -> PathBuf {
        Path::new(&format!("/proc/{}/root", self.0.id())).join(relative)
    }

    /// Puts a file there that is a minute old.
    fn put(&self, relative: &str, content: &[u8]) -> File {
        let path = self.path(relative);
        fs::write(&path, content).unwrap();
        let file = File::options().read(true).write(true).open(path).unwrap();
        let long_ago = SystemTime::now() - Duration::from_secs(60);
        file.set_modified(long_ago).unwrap();
        file
    }

    /// Puts a whole buffer there, as a reader and a writer with these process ids left it.
    fn put_buffer(&self, name: &str, reader: u32, writer: u32) {
        let own = BufferName::new(format!("zbt-clean-{name}-{}", std::process::id())).unwrap();
        let _reader = Reader::create(&own, &BufferConfig::new(64, 1024)).unwrap();
        for (from, to) in [
            (format!("/dev/shm/{own}"), name.to_owned()),
            (
                format!("/dev/shm/sem.sem-w-{own}"),
                format!("sem.sem-w-{name}"),
            ),
            (
                format!("/dev/shm/sem.sem-r-{own}"),
                format!("sem.sem-r-{name}"),
            ),
        ] {
            let mut content = fs::read(from).unwrap();
            if to == name {
                for (pid, offset) in [(writer, 0x50), (reader, 0x58)] {
                    content[offset..offset + 8].copy_from_slice(&u64::from(pid).to_le_bytes());
                }
            }
            self.put(&format!("{SHM}/{to}"), &content);
        }
        self.put(&format!("{LOCKS}/{name}.lock"), b"");
    }

    fn clean(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let target = self.0.id().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &target, "--mount"]);
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        let output = command
            .arg(env!("CARGO_BIN_EXE_harmony"))
            .arg("clean")
            .args(arguments)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    /// Everything that is there.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        for folder in [SHM, LOCKS] {
            for entry in fs::read_dir(self.path(folder)).unwrap() {
                files.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        files.sort();
        files
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

const DEAD: u32 = u32::MAX;

fn files_of(name: &str) -> [String; 4] {
    [
        name.to_owned(),
        format!("{name}.lock"),
        format!("sem.sem-r-{name}"),
        format!("sem.sem-w-{name}"),
    ]
}

#[test]
fn what_the_dead_left_goes_and_nothing_else() {
    let Some(sandbox) = Sandbox::new() else {
        return;
    };
    let (code, text) = sandbox.clean(&[]);
    assert_eq!((code, text.as_str()), (Some(0), "nothing is stale\n"));
    let own = std::process::id();
    sandbox.put_buffer("dead", DEAD, DEAD);
    sandbox.put_buffer("left", 0, 0);
    sandbox.put_buffer("read", own, DEAD);
    sandbox.put_buffer("written", DEAD, own);
    sandbox.put_buffer("locked", DEAD, 0);
    let lock = File::open(sandbox.path(&format!("{LOCKS}/locked.lock"))).unwrap();
    lock.lock().unwrap();
    // Left by some readers on every close.
    sandbox.put(&format!("{SHM}/sem.sem-r-lonely"), &[0; 32]);
    sandbox.put(&format!("{LOCKS}/alone.lock"), b"");
    let before = sandbox.files();

    let (code, text) = sandbox.clean(&["--dry-run"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("would remove  dead\n    /dev/shm/dead\n"),
        "{text}"
    );
    assert!(text.ends_with("would remove 4, left 3 alone\n"), "{text}");
    assert_eq!(sandbox.files(), before);

    let (code, text) = sandbox.clean(&[]);
    assert_eq!(code, Some(0), "{text}");
    for says in [
        "removed  dead\n    /dev/shm/dead\n    /dev/shm/sem.sem-w-dead\n",
        "removed  left\n",
        "removed  lonely\n    /dev/shm/sem.sem-r-lonely\n",
        "removed  alone\n    /tmp/zerobuffer/alone.lock\n",
        &format!("left alone  read: its reader lives, pid {own} ("),
        &format!("left alone  written: its writer lives, pid {own} ("),
        "left alone  locked: somebody holds its lock\n",
        "removed 4, left 3 alone\n",
    ] {
        assert!(text.contains(says), "{says:?} in\n{text}");
    }
    let mut expected = ["read", "written", "locked"].map(files_of).concat();
    expected.sort();
    assert_eq!(sandbox.files(), expected);
    assert!(
        sandbox
            .clean(&[])
            .1
            .ends_with("nothing is stale, left 3 alone\n")
    );
}

#[test]
fn what_is_no_buffer_or_may_be_in_the_making_stays() {
    let Some(sandbox) = Sandbox::new() else {
        return;
    };
    // Of somebody else: a file, a large one, a semaphore; with the name of a part, but not the size.
    for (name, size) in [
        ("other", 10),
        ("large", 4096),
        ("sem.mp-x", 32),
        ("sem.sem-w-odd", 33),
    ] {
        sandbox.put(&format!("{SHM}/{name}"), &vec![1; size]);
    }
    fs::create_dir(sandbox.path(&format!("{LOCKS}/locks"))).unwrap();
    // A buffer of a version to come, and one whose sizes do not add up.
    sandbox.put_buffer("future", DEAD, DEAD);
    sandbox.put_buffer("cut", DEAD, DEAD);
    for (name, offset, value) in [("future", 0x04, 2), ("cut", 0x20, 64)] {
        let path = sandbox.path(&format!("{SHM}/{name}"));
        let segment = File::options().write(true).open(path).unwrap();
        segment.write_all_at(&[value], offset).unwrap();
    }
    // Being made: nobody is named yet, or only a semaphore or a lock file is there.
    sandbox.put_buffer("made", 0, 0);
    for young in [
        format!("{SHM}/made"),
        format!("{SHM}/sem.sem-w-begun"),
        format!("{LOCKS}/first.lock"),
    ] {
        let file = File::options()
            .create(true)
            .append(true)
            .open(sandbox.path(&young));
        let file = file.unwrap();
        if young.ends_with("begun") {
            file.set_len(32).unwrap();
        }
        file.set_modified(SystemTime::now()).unwrap();
    }
    let before = sandbox.files();
    let (code, text) = sandbox.clean(&["-v"]);
    assert_eq!(code, Some(0), "{text}");
    for says in [
        "left alone  future: /dev/shm/future is no segment: ",
        "left alone  cut: /dev/shm/cut is no segment: ",
        "left alone  made: it is so young",
        "left alone  begun: it is so young",
        "left alone  first: it is so young",
        "left alone  /dev/shm/other: no part of a buffer\n",
        "left alone  /dev/shm/sem.mp-x: no part of a buffer\n",
        "left alone  /dev/shm/sem.sem-w-odd: no part of a buffer\n",
        "left alone  /tmp/zerobuffer/locks: no part of a buffer\n",
        "nothing is stale, left 5 alone\n",
    ] {
        assert!(text.contains(says), "{says:?} in\n{text}");
    }
    assert_eq!(sandbox.files(), before);
}

#[test]
fn what_cannot_be_removed_is_told() {
    let Some(sandbox) = Sandbox::new() else {
        return;
    };
    sandbox.put_buffer("stuck", DEAD, DEAD);
    let lock = sandbox.path(&format!("{LOCKS}/stuck.lock"));
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let (code, text) = sandbox.clean(&[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("harmony: buffer 'stuck': "), "{text}");
    assert!(
        text.contains("removed 0, 1 could not be removed\n"),
        "{text}"
    );
    assert!(sandbox.path(&format!("{SHM}/stuck")).exists());
}
