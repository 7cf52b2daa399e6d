//! Work that goes on in the background while further steps are carried out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::serve::failure::Failure;
use crate::span::in_current_span;

/// Tells work in the background that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether the work is to end.
    pub fn is_asked_for(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Work on a thread of its own. Dropped, it is asked to stop and waited for.
#[derive(Debug)]
pub struct Task<T> {
    name: String,
    stop: Stop,
    thread: Option<JoinHandle<Result<T, Failure>>>,
}

impl<T: Send + 'static> Task<T> {
    /// Starts the work, which looks at its [`Stop`] often.
    ///
    /// # Errors
    ///
    /// Those of the system, when threads run out.
    pub fn start(
        name: &str,
        work: impl FnOnce(&Stop) -> Result<T, Failure> + Send + 'static,
    ) -> Result<Self, Failure> {
        let stop = Stop::default();
        let asked = stop.clone();
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(in_current_span(move || {
                let result = work(&asked);
                if let Err(failure) = &result {
                    tracing::error!("in the background: {failure}");
                }
                result
            }))?;
        Ok(Task {
            name: name.to_owned(),
            stop,
            thread: Some(thread),
        })
    }
}

impl<T> Task<T> {
    /// Whether the work has ended by itself.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the end of the work; what came of it.
    ///
    /// # Errors
    ///
    /// How it failed.
    pub fn join(mut self) -> Result<T, Failure> {
        self.wait()
    }

    /// Asks the work to stop and waits for it; what came of it.
    ///
    /// # Errors
    ///
    /// How it failed.
    pub fn stop(mut self) -> Result<T, Failure> {
        self.stop.ask();
        self.wait()
    }

    fn wait(&mut self) -> Result<T, Failure> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Failure::new(format!("'{}' panicked", self.name))),
            None => Err(Failure::new(format!("'{}' has ended before", self.name))),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.stop.ask();
        if self.thread.is_some()
            && let Err(failure) = self.wait()
        {
            tracing::warn!("'{}' ended with: {failure}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn work_yields_its_result_or_its_failure() {
        let task = Task::start("seven", |_| Ok(7)).unwrap();
        assert_eq!(task.join(), Ok(7));
        let task = Task::<()>::start("fails", |_| Err(Failure::new("on purpose"))).unwrap();
        assert_eq!(task.join().unwrap_err().to_string(), "on purpose");
    }

    #[test]
    fn work_ends_when_it_is_stopped_or_dropped() {
        let until_stopped = |stop: &Stop| {
            while !stop.is_asked_for() {
                std::thread::yield_now();
            }
            Ok(())
        };
        let task = Task::start("stopped", until_stopped).unwrap();
        assert!(!task.is_finished());
        task.stop().unwrap();
        let (ended, end) = mpsc::channel();
        let task = Task::start("dropped", move |stop| {
            until_stopped(stop)?;
            ended.send(()).unwrap();
            Ok(())
        });
        drop(task.unwrap());
        end.try_recv().unwrap();
    }
}
