//! What is sent and answered: parameters, results, ids and errors.

use serde_json::{Value, json};

use crate::serve_support::{Run, StepServer, frame};

#[test]
fn params_are_answered_alike_in_every_form() {
    let run = Run::new();
    let mut server = StepServer::start(&run, &[]);
    let nothing = [json!([]), json!({}), Value::Null];
    for params in &nothing {
        assert_eq!(server.call("health", params.clone()), true);
        assert_eq!(server.call("cleanup", params.clone()), Value::Null);
    }
    let discovered: Vec<_> = nothing
        .iter()
        .map(|params| server.call("discover", params.clone()))
        .collect();
    assert!(discovered[0]["steps"].as_array().unwrap().len() > 40);
    assert!(discovered.iter().all(|steps| *steps == discovered[0]));

    let camel = json!({"role": "reader", "platform": "rust", "scenario": "s", "hostPid": 1,
        "featureId": 2, "testRunId": "1_2"});
    let pascal = json!({"Role": "reader", "Platform": "rust", "Scenario": "s", "HostPid": 1,
        "FeatureId": 2, "TestRunId": "1_2"});
    for params in [
        camel.clone(),
        json!([camel]),
        pascal.clone(),
        json!([pascal]),
    ] {
        assert_eq!(server.call("initialize", params), true);
    }

    let step = "no sequence errors should have occurred";
    let mut answers = Vec::new();
    for kind in [json!("Then"), json!("then"), json!("THEN"), json!(2)] {
        let camel = json!({"process": "reader", "stepType": kind, "step": step,
            "parameters": {}, "context": {"a": "1"}, "isBroadcast": false});
        let pascal = json!({"Process": "reader", "StepType": kind, "Step": step,
            "Parameters": null, "Context": {"a": "1"}, "IsBroadcast": true});
        for params in [
            camel.clone(),
            json!([camel]),
            pascal.clone(),
            json!([pascal]),
        ] {
            let mut answer = server.call("executeStep", params);
            assert!(answer["logs"].is_array());
            answer["logs"].take();
            answers.push(answer);
        }
    }
    assert_eq!(answers.len(), 16);
    assert_eq!(answers[0]["success"], false);
    assert_eq!(answers[0]["context"], json!({"a": "1"}));
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
}

#[test]
fn a_result_has_exactly_the_agreed_keys() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let result = server.step("Given", "all processes are ready");
    let keys: Vec<_> = result.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["context", "error", "logs", "success"]);
    assert_eq!(result["error"], Value::Null);
    let log = &result["logs"][0];
    let keys: Vec<_> = log.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["level", "message", "timestamp"]);
}

#[test]
fn ids_of_any_kind_come_back_and_requests_without_one_get_no_answer() {
    let mut server = StepServer::start(&Run::new(), &[]);
    for id in [json!(0), json!(-1), json!(2.5), json!("seven"), Value::Null] {
        server.send(&json!({"jsonrpc": "2.0", "id": id, "method": "health"}));
        let answer = server.answer();
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": id, "result": true}));
    }
    server.send(&json!({"jsonrpc": "2.0", "method": "health"}));
    server.send(&json!({"jsonrpc": "2.0", "method": "no such method"}));
    assert_eq!(server.call("health", Value::Null), true);
}

#[test]
fn errors_have_the_codes_of_json_rpc() {
    let mut server = StepServer::start(&Run::new(), &[]);
    let cases = [
        (
            &br#"{"jsonrpc":"2.0","id":1,"method":"nothing"}"#[..],
            -32601,
            json!(1),
        ),
        (
            br#"{"jsonrpc":"2.0","id":2,"method":"executeStep"}"#,
            -32602,
            json!(2),
        ),
        (
            br#"{"jsonrpc":"2.0","id":3,"method":"initialize","params":[1,2]}"#,
            -32602,
            json!(3),
        ),
        (
            br#"{"jsonrpc":"2.0","id":4,"method":"health","params":"x"}"#,
            -32602,
            json!(4),
        ),
        (br#"{"jsonrpc":"2.0","id":5}"#, -32600, json!(5)),
        (br#"{"id":"six","method":"health"}"#, -32600, json!("six")),
        (br#"[]"#, -32600, Value::Null),
        (br#"{"jsonrpc":"2.0","id":7,"#, -32700, Value::Null),
        (b"\xff\xfe", -32700, Value::Null),
        (b"", -32700, Value::Null),
        // Whoever asks for the end has to ask rightly.
        (
            br#"{"jsonrpc":"2.0","id":8,"method":"shutdown","params":7}"#,
            -32602,
            json!(8),
        ),
        (
            br#"{"jsonrpc":"2.0","id":9,"method":"crash","params":7}"#,
            -32602,
            json!(9),
        ),
    ];
    for (body, code, id) in cases {
        server.write(&frame(body));
        let answer = server.answer();
        assert_eq!(
            (&answer["error"]["code"], &answer["id"]),
            (&json!(code), &id),
            "{answer}"
        );
    }
    server.write(b"Content-Type: text\r\n\r\n");
    assert_eq!(server.answer()["error"]["code"], -32700);
    server.write(b"Content-Length: 67108865\r\n\r\n");
    assert_eq!(server.answer()["error"]["code"], -32700);
    assert_eq!(server.call("health", Value::Null), true);
    server.await_error_line("without Content-Length");
    server.await_error_line("over the limit");
}

#[test]
fn requests_before_the_end_of_the_input_are_answered() {
    let mut server = StepServer::start(&Run::new(), &[]);
    server.request("health", Value::Null);
    server.request("discover", Value::Null);
    server.close_input();
    assert_eq!(server.answer()["result"], true);
    assert!(server.answer()["result"]["steps"].is_array());
    assert!(server.wait().success());
}
