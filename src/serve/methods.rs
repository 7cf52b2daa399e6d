//! The methods of the contract, over an executor.

use std::sync::Arc;

use jsonrpsee::core::RpcResult;
use jsonrpsee::types::{
    ErrorObjectOwned, Params,
    error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE},
};
use jsonrpsee::{Methods, RpcModule};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument;

use super::definitions;
use super::executor::Executor;
use super::sharing::SHARED;
use crate::rpc::message::{self, DiscoverResult, ExecuteStepParams, StepResult, method};

/// The methods after whose answer a step server ends that serves one orchestrator.
pub const LAST_METHODS: [&str; 2] = [method::SHUTDOWN, method::CRASH];

/// The code of an error that says that this step server does not do such a thing; one of those that
/// JSON-RPC leaves to servers.
pub(super) const REFUSED: i32 = -32000;

/// The methods of a step server whose process serves one orchestrator.
///
/// `shutdown` and `crash` only answer here: what follows is up to whoever gives the answer.
pub fn of_process(executor: Arc<Executor>) -> Methods {
    let mut module = RpcModule::from_arc(executor);
    register(&mut module)
        .and_then(|()| register_last(&mut module))
        .expect(DISTINCT);
    module.into()
}

/// The methods of a step server whose process serves others as well: `shutdown` releases everything
/// and calls `close`, `crash` is refused.
pub fn of_connection(executor: Arc<Executor>, close: impl Fn() + Send + Sync + 'static) -> Methods {
    let mut module = RpcModule::from_arc(executor);
    register(&mut module)
        .and_then(|()| register_last_of_connection(&mut module, Arc::new(close)))
        .expect(DISTINCT);
    module.into()
}

const DISTINCT: &str = "every method has a name of its own";

type Registered = Result<(), jsonrpsee::core::RegisterMethodError>;

fn register(module: &mut RpcModule<Executor>) -> Registered {
    module.register_method::<RpcResult<bool>, _>(method::HEALTH, |params, _, _| {
        no_params(&params)?;
        Ok(true)
    })?;
    module.register_async_method(method::INITIALIZE, |params, executor, _| async move {
        let params = read_params(&params)?;
        let span = executor.span();
        executor.initialize(params).instrument(span).await;
        RpcResult::Ok(true)
    })?;
    module.register_method::<RpcResult<DiscoverResult>, _>(method::DISCOVER, |params, _, _| {
        no_params(&params)?;
        Ok(DiscoverResult {
            steps: definitions::list(),
        })
    })?;
    module.register_async_method(method::EXECUTE_STEP, |params, executor, _| async move {
        let params: ExecuteStepParams = read_params(&params)?;
        let span = executor.span();
        RpcResult::<StepResult>::Ok(executor.execute(params).instrument(span).await)
    })?;
    module.register_async_method(method::CLEANUP, |params, executor, _| async move {
        no_params(&params)?;
        cleanup(&executor).await
    })?;
    Ok(())
}

async fn cleanup(executor: &Executor) -> RpcResult<Value> {
    let released = executor.cleanup().instrument(executor.span()).await;
    released.map(|()| Value::Null).map_err(not_in_order)
}

fn register_last(module: &mut RpcModule<Executor>) -> Registered {
    for name in LAST_METHODS {
        module.register_method::<RpcResult<Value>, _>(name, |params, _, _| {
            no_params(&params)?;
            Ok(Value::Null)
        })?;
    }
    Ok(())
}

fn register_last_of_connection(
    module: &mut RpcModule<Executor>,
    close: Arc<impl Fn() + Send + Sync + 'static>,
) -> Registered {
    module.register_async_method(method::SHUTDOWN, move |params, executor, _| {
        let close = Arc::clone(&close);
        async move {
            no_params(&params)?;
            // What is not in order is in the log.
            let _ = cleanup(&executor).await;
            // The requests that are being answered, this one among them, still are.
            close();
            RpcResult::Ok(Value::Null)
        }
    })?;
    module.register_method::<RpcResult<Value>, _>(method::CRASH, |params, _, _| {
        no_params(&params)?;
        let why = format!("it does not crash, because {SHARED}");
        Err(ErrorObjectOwned::owned(REFUSED, why, None::<()>))
    })?;
    Ok(())
}

fn read_params<T: DeserializeOwned>(params: &Params<'_>) -> RpcResult<T> {
    message::read_params(params.parse()?).map_err(invalid_params)
}

/// Orchestrators send all sorts of things to methods without parameters; only what JSON-RPC itself
/// forbids is refused.
fn no_params(params: &Params<'_>) -> RpcResult<()> {
    match params.parse()? {
        Value::Null | Value::Array(_) | Value::Object(_) => Ok(()),
        other => Err(invalid_params(format!(
            "params: expected none, found {other}"
        ))),
    }
}

/// Everything is released all the same.
fn not_in_order(message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INTERNAL_ERROR_CODE, message, None::<()>)
}

fn invalid_params(message: String) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, message, None::<()>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::logs::Logs;
    use serde_json::json;
    use std::time::Duration;

    fn call(name: &str, params: &str) -> Value {
        let executor = Executor::new(Duration::from_secs(30), Logs::default());
        let methods = of_process(Arc::new(executor));
        let request = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{name}"{params}}}"#);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let (answer, _) = runtime
            .block_on(methods.raw_json_request(&request, 1))
            .unwrap();
        serde_json::from_str(answer.get()).unwrap()
    }

    #[test]
    fn methods_without_params_take_nothing_in_any_form() {
        for params in [
            "",
            r#","params":[]"#,
            r#","params":{}"#,
            r#","params":null"#,
        ] {
            assert_eq!(call("health", params)["result"], true, "{params}");
            for name in ["cleanup", "shutdown", "crash"] {
                let answer = call(name, params);
                assert_eq!(answer.get("result"), Some(&Value::Null), "{name} {params}");
            }
            let steps = &call("discover", params)["result"]["steps"];
            assert!(steps.as_array().is_some_and(|s| !s.is_empty()), "{steps}");
        }
        assert_eq!(call("health", r#","params":5"#)["error"]["code"], -32602);
    }

    #[test]
    fn bad_params_are_named() {
        let answer = call("executeStep", r#","params":{"stepType":"Given"}"#);
        assert_eq!(answer["error"]["code"], -32602);
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("`step`"), "{message}");
        let answer = call("initialize", r#","params":[1]"#);
        assert_eq!(answer["error"]["code"], -32602);
    }

    #[test]
    fn a_failed_step_is_a_result() {
        let params = r#","params":[{"StepType":1,"Step":"the test fails","Context":{"a":"1"}}]"#;
        let answer = call("executeStep", params);
        assert_eq!(answer["result"]["success"], false);
        assert_eq!(answer["result"]["context"], json!({"a": "1"}));
        assert!(answer["result"]["error"].is_string());
    }
}
