//! Set-up commands of platforms, run when their inputs changed.
//!
//! A stamp file holds the command and the names, sizes and modification times of the inputs as
//! they were when the command last succeeded. Two runs at once take turns through a file lock, which
//! is held as long as the command runs: also where nobody waits for it any more.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use globset::Glob;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;

use super::config::Config;
use super::event::{Event, Events};
use super::platform::{Platform, Setup};
use super::spawn::{Child, Ending, Spawner};

/// How many lines of a failed command's output are shown.
const SHOWN: usize = 40;

/// How long to wait between two attempts to take the lock that another run holds.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Runs the set-up of `platform` if something it depends on changed.
///
/// # Errors
///
/// What failed, with the end of the command's output.
pub async fn ensure(
    platform: &Platform,
    config: &Config,
    spawner: &Spawner,
    events: &Events,
) -> Result<(), String> {
    let Some(setup) = platform.needed_setup() else {
        return Ok(());
    };
    let folder = config.output.join("setup");
    let stamp = folder.join(format!("{}.stamp", platform.name));
    if is_fresh(setup, &config.root, &stamp)? {
        return Ok(());
    }
    let at = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(&folder).map_err(|error| at(&folder, error))?;
    let path = folder.join(format!("{}.lock", platform.name));
    let lock = Arc::new(lock(&path, platform, events).await?);
    let wanted = fingerprint(setup, &config.root)?;
    if is_fresh(setup, &config.root, &stamp)? {
        return Ok(());
    }
    let name = platform.name.clone();
    events.emit(Event::SetupStarted {
        platform: name.clone(),
    });
    let began = Instant::now();
    let log = folder.join(format!("{name}.log"));
    let result = run(setup, &log, &lock, config, spawner).await;
    let output = fs::read(&log).unwrap_or_default();
    let output = String::from_utf8_lossy(&output).into_owned();
    result.map_err(|why| {
        let lines: Vec<&str> = output.lines().collect();
        let end = &lines[lines.len().saturating_sub(SHOWN)..];
        let place = format!("all of its output: {}", log.display());
        let all = [&[why.as_str()], end, &[place.as_str()]].concat();
        all.join("\n")
    })?;
    events.emit(Event::SetupFinished {
        platform: name,
        took: began.elapsed(),
        output,
    });
    fs::write(&stamp, wanted).map_err(|error| at(&stamp, error))
}

/// Whether there is nothing to set up for `platform`, or nothing any more.
pub fn is_ready(platform: &Platform, config: &Config) -> bool {
    let stamp = config
        .output
        .join("setup")
        .join(format!("{}.stamp", platform.name));
    let fresh = |setup| is_fresh(setup, &config.root, &stamp).unwrap_or(false);
    platform.needed_setup().is_none_or(fresh)
}

async fn run(
    setup: &Setup,
    log: &Path,
    lock: &Arc<Flock<File>>,
    config: &Config,
    spawner: &Spawner,
) -> Result<(), String> {
    let shown = setup.command.join(" ");
    let file = |error: std::io::Error| format!("{}: {error}", log.display());
    let output = File::create(log).map_err(file)?;
    let errors = output.try_clone().map_err(file)?;
    let mut command = Command::new(&setup.command[0]);
    command
        .args(&setup.command[1..])
        .current_dir(&config.root)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    let child = spawner.spawn(command).await;
    let mut child = child.map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    keep_locked(&child, lock);
    let limit = config.limits.setup;
    let exit = tokio::time::timeout(limit, child.exit.wait_for(Option::is_some)).await;
    let ending = exit.map(|exit| Some(exit.ok()?.as_ref()?.how));
    let ending = match ending {
        Ok(ending) => ending,
        Err(_) => {
            end(&mut child, config.limits.shutdown, spawner).await;
            return Err(format!(
                "`{shown}` did not end within {} s",
                limit.as_secs_f64()
            ));
        }
    };
    match ending {
        Some(Ending::Code(0)) if setup.product.exists() => Ok(()),
        Some(Ending::Code(0)) => {
            let product = setup.product.display();
            Err(format!("`{shown}` succeeded but did not make {product}"))
        }
        Some(how) => Err(format!("`{shown}` {how}")),
        None => Err(format!("`{shown}` was lost")),
    }
}

/// Holds the lock until the command has ended. A run that is given up waits for that as well, but not
/// here.
fn keep_locked(child: &Child, lock: &Arc<Flock<File>>) {
    let (mut exit, lock) = (child.exit.clone(), lock.clone());
    tokio::spawn(async move {
        // An end that cannot be heard of is an end as well.
        let _ = exit.wait_for(Option::is_some).await;
        drop(lock);
    });
}

/// Ends a command: SIGTERM, then, past `limit`, SIGKILL. It may be installing packages, which must not
/// be cut off in the middle.
async fn end(child: &mut Child, limit: Duration, spawner: &Spawner) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        spawner.signal(child.pid, signal);
        let ended = child.exit.wait_for(Option::is_some);
        if tokio::time::timeout(limit, ended).await.is_ok() {
            return;
        }
    }
}

/// Takes the lock of a platform's set-up, waiting for another run that holds it.
async fn lock(path: &Path, platform: &Platform, events: &Events) -> Result<Flock<File>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut file = File::create(path).map_err(|error| failed(&error))?;
    let mut told = false;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
            Err((_, error)) => return Err(failed(&error)),
        }
        if !told {
            let platform = platform.name.clone();
            events.emit(Event::SetupAwaited { platform });
            told = true;
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

fn is_fresh(setup: &Setup, root: &Path, stamp: &Path) -> Result<bool, String> {
    let Ok(last) = fs::read_to_string(stamp) else {
        return Ok(false);
    };
    Ok(setup.product.exists() && last == fingerprint(setup, root)?)
}

/// The command, and a line for every input file.
fn fingerprint(setup: &Setup, root: &Path) -> Result<String, String> {
    let mut text = format!("{}\n", setup.command.join(" "));
    for input in &setup.inputs {
        let files = matching(input, root)?;
        if files.is_empty() {
            return Err(format!("the set-up input `{input}` matches no file"));
        }
        for file in files {
            let metadata = fs::metadata(&file).map_err(|e| format!("{}: {e}", file.display()))?;
            let modified = metadata.modified().ok();
            let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let nanos = modified.unwrap_or_default().as_nanos();
            writeln!(text, "{} {} {nanos}", file.display(), metadata.len())
                .expect("writing to a string cannot fail");
        }
    }
    Ok(text)
}

/// The files below `root` that a glob matches, sorted. Only the folder that the glob names before
/// its first wildcard is looked into.
fn matching(glob: &str, root: &Path) -> Result<Vec<PathBuf>, String> {
    let matcher = Glob::new(glob)
        .map_err(|error| error.to_string())?
        .compile_matcher();
    let fixed = Path::new(glob).components().take_while(|part| {
        !part
            .as_os_str()
            .to_string_lossy()
            .contains(['*', '?', '[', '{'])
    });
    let mut unseen = vec![root.join(fixed.collect::<PathBuf>())];
    let mut found = Vec::new();
    while let Some(path) = unseen.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            unseen.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(relative) = path.strip_prefix(root)
            && matcher.is_match(relative)
            && path.exists()
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> (tempfile::TempDir, Setup) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("peer/src")).unwrap();
        for file in [
            "peer/make.sh",
            "peer/src/a.cpp",
            "peer/notes.md",
            "other.cpp",
        ] {
            fs::write(root.path().join(file), file).unwrap();
        }
        let setup = Setup {
            command: vec!["make".into()],
            inputs: vec!["peer/make.sh".into(), "peer/**/*.cpp".into()],
            product: root.path().join("product"),
        };
        (root, setup)
    }

    #[test]
    fn globs_find_their_files() {
        let (root, setup) = project();
        let found = |glob: &str| {
            let files = matching(glob, root.path()).unwrap();
            let relative = files
                .iter()
                .map(|f| f.strip_prefix(root.path()).unwrap().display().to_string());
            relative.collect::<Vec<_>>()
        };
        assert_eq!(found("peer/make.sh"), ["peer/make.sh"]);
        assert_eq!(found("peer/**/*.cpp"), ["peer/src/a.cpp"]);
        assert_eq!(found("**/*.cpp"), ["other.cpp", "peer/src/a.cpp"]);
        assert_eq!(found("peer/none"), [""; 0]);
        let none = Setup {
            inputs: vec!["peer/*.rs".into()],
            ..setup
        };
        let error = fingerprint(&none, root.path()).unwrap_err();
        assert_eq!(error, "the set-up input `peer/*.rs` matches no file");
    }

    #[test]
    fn only_what_changed_is_stale() {
        let (root, setup) = project();
        let stamp = root.path().join("stamp");
        let fresh = || is_fresh(&setup, root.path(), &stamp).unwrap();
        let succeed = || fs::write(&stamp, fingerprint(&setup, root.path()).unwrap()).unwrap();
        assert!(!fresh(), "never run");
        fs::write(&setup.product, "").unwrap();
        succeed();
        assert!(fresh());
        fs::write(root.path().join("peer/notes.md"), "changed, but no input").unwrap();
        assert!(fresh());
        fs::write(root.path().join("peer/src/a.cpp"), "changed!").unwrap();
        assert!(!fresh(), "an input changed");
        succeed();
        fs::write(root.path().join("peer/src/b.cpp"), "new").unwrap();
        assert!(!fresh(), "an input is new");
        succeed();
        fs::remove_file(&setup.product).unwrap();
        assert!(!fresh(), "the product is gone");
    }
}
