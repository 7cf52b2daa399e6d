//! The same contract over WebSockets, for many orchestrators at once.

use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use zerobuffer::rpc::client::{CallError, Client};

use crate::listener::Listener;
use crate::raw_connection::RawConnection;
use crate::serve_support::{PATIENCE, Run, step_params};
use crate::{CONNECT, CREATE, HANG, WRITE};

const READ: &str = "the 'reader' process should read frame with sequence '1' and size '1024'";

struct Connection(Client);

impl Connection {
    async fn to(server: &Listener) -> Connection {
        Connection(Client::connect(&server.url(), PATIENCE).await.unwrap())
    }

    /// A connection whose other end is told which run its names belong to.
    async fn of_run(run: &Run, server: &Listener) -> Connection {
        let connection = Self::to(server).await;
        let params = json!({"hostPid": run.host_pid, "featureId": run.feature_id});
        let begun = connection.call("initialize", Some(params)).await;
        assert_eq!(begun, Ok(json!(true)));
        connection
    }

    async fn call(&self, method: &str, params: Option<Value>) -> Result<Value, CallError> {
        self.0.call(method, params.as_ref(), PATIENCE).await
    }

    /// Waits until the other end has closed it.
    async fn await_end(&self) {
        let end = self.0.end();
        let ended = tokio::time::timeout(PATIENCE, end.cancelled()).await;
        assert!(ended.is_ok(), "the connection has not ended");
    }

    async fn step(&self, kind: &str, step: &str) -> Value {
        let params = step_params(kind, step);
        self.call("executeStep", Some(params)).await.unwrap()
    }

    /// Executes a step that has to succeed; the messages of its records.
    async fn pass(&self, kind: &str, step: &str) -> Vec<String> {
        let result = self.step(kind, step).await;
        assert_eq!(result["success"], true, "{kind} {step}: {result}");
        let records = result["logs"].as_array().unwrap().iter();
        records
            .map(|record| record["message"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Waits until nothing is left of a run.
fn await_release(run: &Run) {
    let begun = Instant::now();
    while !run.leftovers().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", run.leftovers());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[tokio::test]
async fn connections_have_scenarios_of_their_own_and_share_buffers() {
    let mut server = Listener::start();
    let run = Run::new();
    assert_eq!(
        Connection::to(&server).await.call("health", None).await,
        Ok(json!(true))
    );
    let reading = Connection::of_run(&run, &server).await;
    let writing = Connection::of_run(&run, &server).await;
    reading.pass("Given", CREATE).await;
    writing.pass("When", CONNECT).await;
    writing.pass("When", WRITE).await;
    reading.pass("Then", READ).await;
    let failed = writing.step("Then", READ).await;
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("this process has no reader"), "{error}");

    assert_eq!(writing.call("shutdown", None).await, Ok(Value::Null));
    writing.await_end().await;
    assert_eq!(run.leftovers().len(), 4, "the reader's");
    assert_eq!(reading.call("cleanup", None).await, Ok(Value::Null));
    run.assert_nothing_left();
    assert_eq!(reading.call("health", None).await, Ok(json!(true)));
    assert!(server.is_running());
}

#[tokio::test]
async fn an_answer_holds_the_records_of_its_connection_alone() {
    let server = Listener::start();
    let run = Run::new();
    let reading = Connection::of_run(&run, &server).await;
    let writing = Connection::of_run(&run, &server).await;
    let mut of_reading = reading.pass("Given", CREATE).await;
    let mut of_writing = writing.pass("When", CONNECT).await;
    // Both in the other's time.
    let (write, read) = tokio::join!(writing.pass("When", WRITE), reading.pass("Then", READ));
    of_writing.extend(write);
    of_reading.extend(read);
    for (own, others, texts) in [
        (&of_reading, &of_writing, [CREATE, READ]),
        (&of_writing, &of_reading, [CONNECT, WRITE]),
    ] {
        for text in texts {
            assert!(own.iter().any(|record| record.contains(text)), "{own:?}");
            let is_there = others.iter().any(|record| record.contains(text));
            assert!(!is_there, "{text}: {others:?}");
        }
    }
    for text in [CREATE, READ, CONNECT, WRITE] {
        assert!(server.records().contains(text), "{text}");
    }
}

#[tokio::test]
async fn records_of_a_thread_belong_to_the_connection_that_started_it() {
    let server = Listener::start();
    let run = Run::new();
    let serving = Connection::of_run(&run, &server).await;
    let other = Connection::of_run(&run, &server).await;
    serving.pass("Given", CREATE).await;
    let fill = "the 'writer' process writes '3' frames of size '100000' as fast as possible";
    serving.pass("When", CONNECT).await;
    let mut own = serving.pass("When", fill).await;
    let tells = |records: &[String]| records.iter().any(|r| r.contains("in the background"));
    let begun = Instant::now();
    while !tells(&own) {
        assert!(begun.elapsed() < PATIENCE, "{}", server.records());
        let others = other.pass("Given", "all processes are ready").await;
        assert!(!tells(&others), "{others:?}");
        own = serving.pass("Given", "all processes are ready").await;
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_releases_everything_while_a_step_hangs() {
    let server = Listener::start();
    let run = Run::new();
    let other_run = Run::new();
    let other = Connection::of_run(&other_run, &server).await;
    other.pass("Given", CREATE).await;
    let mut raw = RawConnection::of_run(&run, &server);
    for (kind, step) in [("Given", CREATE), ("When", CONNECT), ("When", WRITE)] {
        raw.send("executeStep", step_params(kind, step));
        assert_eq!(raw.answer()["result"]["success"], true);
    }
    raw.send("executeStep", step_params("When", HANG));
    // Answered while it hangs.
    raw.send("health", json!([]));
    assert_eq!(raw.answer()["result"], true);
    assert_eq!(run.leftovers().len(), 4);
    drop(raw);
    await_release(&run);
    assert_eq!(other_run.leftovers().len(), 4);
    other.pass("Given", "all processes are ready").await;
}

#[tokio::test]
async fn a_client_that_goes_releases_everything() {
    let server = Listener::start();
    let run = Run::new();
    let connection = Connection::of_run(&run, &server).await;
    connection.pass("Given", CREATE).await;
    assert_eq!(run.leftovers().len(), 4);
    drop(connection);
    let begun = Instant::now();
    while !run.leftovers().is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", run.leftovers());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn shutdown_interrupts_a_step_and_ends_no_other_connection() {
    let mut server = Listener::start();
    let run = Run::new();
    let connection = Connection::of_run(&run, &server).await;
    let other = Connection::to(&server).await;
    for (kind, step) in [("Given", CREATE), ("When", CONNECT), ("When", WRITE)] {
        connection.pass(kind, step).await;
    }
    let shut_down = async {
        other.call("health", None).await.unwrap();
        let answer = connection.call("shutdown", None).await;
        run.assert_nothing_left();
        answer
    };
    let (stuck, answer) = tokio::join!(connection.step("When", HANG), shut_down);
    assert_eq!(answer, Ok(Value::Null));
    let error = stuck["error"].as_str().unwrap();
    assert!(error.contains("the scenario was ended"), "{error}");
    connection.await_end().await;
    assert_eq!(other.call("health", None).await, Ok(json!(true)));
    assert!(server.is_running());
}

#[tokio::test]
async fn nobody_dies_where_others_are_connected() {
    let mut server = Listener::start();
    let run = Run::new();
    let connection = Connection::of_run(&run, &server).await;
    let refused = connection.call("crash", None).await.unwrap_err();
    let expected = "it does not crash, because this step server's process serves other connections as well \
                    (-32000)";
    assert!(refused.to_string().contains(expected), "{refused}");
    for step in [
        "the 'client' process simulates crash after '0' seconds",
        "the 'server' process starts handler that crashes after '0' ms",
    ] {
        let result = connection.step("When", step).await;
        let error = result["error"].as_str().unwrap();
        assert!(error.starts_with("Skipped: nobody can die here"), "{error}");
    }
    assert_eq!(connection.call("health", None).await, Ok(json!(true)));
    assert!(server.is_running());
}

#[tokio::test]
async fn signals_release_everything_of_all_connections() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Listener::start();
        let (run, hanging_run) = (Run::new(), Run::new());
        let connection = Connection::of_run(&run, &server).await;
        let hanging = Connection::of_run(&hanging_run, &server).await;
        connection.pass("Given", CREATE).await;
        for (kind, step) in [("Given", CREATE), ("When", CONNECT), ("When", WRITE)] {
            hanging.pass(kind, step).await;
        }
        let answered_last = tokio::select! {
            biased;
            stuck = hanging.step("When", HANG) => panic!("{stuck}"),
            health = async {
                // After the step has begun.
                hanging.call("health", None).await.unwrap();
                connection.call("health", None).await
            } => health,
        };
        assert_eq!(answered_last, Ok(json!(true)));
        let status = server.end_by(signal);
        assert_eq!(status.code(), Some(128 + signal as i32));
        run.assert_nothing_left();
        hanging_run.assert_nothing_left();
    }
}

#[test]
fn nothing_is_executed_for_a_connection_that_a_signal_has_ended() {
    let mut server = Listener::start();
    let (run, hanging_run) = (Run::new(), Run::new());
    let [mut raw, mut hanging] =
        [&run, &hanging_run].map(|run| RawConnection::of_run(run, &server));
    for (kind, step) in [("Given", CREATE), ("When", CONNECT), ("When", WRITE)] {
        hanging.send("executeStep", step_params(kind, step));
        assert_eq!(hanging.answer()["result"]["success"], true);
    }
    // What holds up the end, so that there is time to ask for more.
    hanging.send("executeStep", step_params("When", HANG));
    hanging.send("health", json!([]));
    assert_eq!(hanging.answer()["result"], true);
    server.signal(Signal::SIGTERM);
    while raw
        .try_send("executeStep", step_params("Given", CREATE))
        .is_ok_and(|()| matches!(raw.try_answer(), Ok(Some(_))))
    {}
    let status = server.end_by(Signal::SIGTERM);
    assert_eq!(status.code(), Some(128 + Signal::SIGTERM as i32));
    run.assert_nothing_left();
    hanging_run.assert_nothing_left();
}

#[tokio::test]
async fn names_come_from_initialize_whatever_the_variables_say() {
    let other = Run::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerobuffer-serve"));
    command
        .args(["--listen", "127.0.0.1:0"])
        .env("HARMONY_HOST_PID", other.host_pid.to_string())
        .env("HARMONY_FEATURE_ID", other.feature_id.to_string());
    let server = Listener::spawn(command);
    server.await_record("HARMONY_HOST_PID and HARMONY_FEATURE_ID are ignored");
    let runs = [Run::new(), Run::new()];
    for run in &runs {
        let connection = Connection::of_run(run, &server).await;
        connection.pass("Given", CREATE).await;
        assert_eq!(run.leftovers().len(), 4);
    }
    other.assert_nothing_left();
}

#[tokio::test]
async fn what_a_process_has_for_all_is_neither_counted_nor_withheld() {
    let server = Listener::start();
    let run = Run::new();
    let connection = Connection::of_run(&run, &server).await;
    let planned = "attempt to create buffer 'planned' with default config";
    connection.pass("Given", planned).await;
    for step in [
        "the test simulates semaphore creation failure",
        "perform '10' iterations of:",
    ] {
        let result = connection.step("Given", step).await;
        let error = result["error"].as_str().unwrap();
        let expected = "Skipped: what this process holds cannot be counted here, because";
        assert!(error.starts_with(expected), "{error}");
    }
}
