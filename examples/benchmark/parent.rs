//! The process that started this one: while it lives it holds this one's standard input open.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long this process has to end in good order after its parent has let go of it.
const GRACE: Duration = Duration::from_secs(2);

static GONE: AtomicBool = AtomicBool::new(false);
static LOCK: Mutex<()> = Mutex::new(());
static CHANGED: Condvar = Condvar::new();

/// Watches the parent from now on.
pub fn watch() {
    thread::spawn(|| {
        let mut ignored = [0; 64];
        while matches!(io::stdin().read(&mut ignored), Ok(1..)) {}
        {
            let _locked = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
            GONE.store(true, Ordering::Relaxed);
            CHANGED.notify_all();
        }
        thread::sleep(GRACE);
        std::process::exit(1);
    });
}

/// Whether the parent wants this process to end, or has gone.
pub fn has_gone() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// Sleeps until the parent wants this process to end, or has gone.
pub fn wait_until_gone() {
    let locked = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let _ended = CHANGED.wait_while(locked, |()| !has_gone());
}
