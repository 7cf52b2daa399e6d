//! Requests as they come in, before any method sees them.
//!
//! What jsonrpsee would refuse and other orchestrators send is levelled here: ids of any kind
//! (negative and fractional numbers too) and requests without one. What is no request at all is
//! refused with the answer that JSON-RPC asks for.

use bytes::Bytes;
use jsonrpsee::core::JsonRawValue;
use jsonrpsee::types::error::{INTERNAL_ERROR_CODE, INVALID_REQUEST_CODE, PARSE_ERROR_CODE};
use serde::{Deserialize, Deserializer, Serialize};

/// The id of an answer to something that has none.
const NULL_ID: &str = "null";

/// A well-formed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The id as JSON text; `None` if the sender wants no answer.
    pub id: Option<String>,
    /// The method's name.
    pub method: String,
    /// The same request as jsonrpsee takes it, with an id of its own.
    pub(super) call: String,
}

/// Why a body is answered with an error before any method sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The JSON-RPC error code.
    pub code: i32,
    /// What is wrong.
    pub message: String,
    /// The id found, or `null`, as JSON text.
    pub id: String,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a JsonRawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a JsonRawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a JsonRawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a JsonRawValue>,
}

/// What is of interest in jsonrpsee's answer.
#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a JsonRawValue>,
    #[serde(borrow, default)]
    error: Option<&'a JsonRawValue>,
}

/// Whether jsonrpsee's answer is a result and no error.
pub(super) fn is_result(response: &JsonRawValue) -> bool {
    serde_json::from_str::<Outcome<'_>>(response.get())
        .is_ok_and(|outcome| outcome.result.is_some() && outcome.error.is_none())
}

/// Keeps a field that is there and `null` apart from one that is not there.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<&'de JsonRawValue>, D::Error> {
    <&JsonRawValue>::deserialize(field).map(Some)
}

impl Request {
    /// Reads the body of a frame.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] to answer with, if the body is not JSON or not a request.
    pub fn read(body: &Bytes) -> Result<Request, Refusal> {
        // The whole text is checked first: only then is a missing field worth naming.
        if let Err(error) = serde_json::from_slice::<&JsonRawValue>(body) {
            let message = format!("not JSON: {error}");
            return Err(Refusal::new(PARSE_ERROR_CODE, message, NULL_ID));
        }
        // A structure would be read from an array as well, its values in the order of the fields.
        if !body.trim_ascii_start().starts_with(b"{") {
            let message = "not a request: expected one JSON object".into();
            return Err(Refusal::invalid(message, NULL_ID));
        }
        let fields: Fields<'_> = serde_json::from_slice(body)
            .map_err(|error| Refusal::invalid(format!("not a request: {error}"), NULL_ID))?;
        let id = fields.id.map(JsonRawValue::get);
        if !id.is_none_or(is_id) {
            let message = "the id is neither a string, nor a number, nor null".into();
            return Err(Refusal::invalid(message, NULL_ID));
        }
        let known_id = id.unwrap_or(NULL_ID);
        let text = |field: Option<&JsonRawValue>| -> Option<String> {
            serde_json::from_str(field?.get()).ok()
        };
        if text(fields.jsonrpc).as_deref() != Some("2.0") {
            return Err(Refusal::invalid(
                r#"expected "jsonrpc":"2.0""#.into(),
                known_id,
            ));
        }
        let Some(method) = text(fields.method) else {
            return Err(Refusal::invalid("expected a method name".into(), known_id));
        };
        Ok(Request {
            id: id.map(str::to_owned),
            call: call(&method, fields.params),
            method,
        })
    }

    /// The answer to this request, out of jsonrpsee's answer to `call`; nothing if the
    /// sender wants none.
    pub(super) fn answer(&self, response: &JsonRawValue) -> Option<Vec<u8>> {
        let id = self.id.as_deref()?;
        match serde_json::from_str::<Outcome<'_>>(response.get()) {
            Ok(Outcome {
                error: Some(error), ..
            }) => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into_bytes()),
            Ok(Outcome {
                result: Some(result),
                ..
            }) => Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes()),
            _ => self.internal_error("the method gave neither a result nor an error"),
        }
    }

    /// The answer if the method itself broke; nothing if the sender wants none.
    pub(super) fn internal_error(&self, message: &str) -> Option<Vec<u8>> {
        let id = self.id.as_deref()?;
        let message = format!("method {}: {message}", self.method);
        Some(Refusal::new(INTERNAL_ERROR_CODE, message, id).to_answer())
    }
}

impl Refusal {
    fn new(code: i32, message: String, id: &str) -> Self {
        let id = id.to_owned();
        Refusal { code, message, id }
    }

    fn invalid(message: String, id: &str) -> Self {
        Self::new(INVALID_REQUEST_CODE, message, id)
    }

    /// For bytes that are not even a frame.
    pub(super) fn unreadable(message: String) -> Self {
        Self::new(PARSE_ERROR_CODE, message, NULL_ID)
    }

    /// The body of the answer.
    pub(super) fn to_answer(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct ErrorObject<'a> {
            code: i32,
            message: &'a str,
        }
        let error = ErrorObject {
            code: self.code,
            message: &self.message,
        };
        let error = serde_json::to_string(&error).expect("a number and a string are JSON");
        format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, self.id).into_bytes()
    }
}

/// The text of a request with these parameters, if there are any.
fn call(method: &str, params: Option<&JsonRawValue>) -> String {
    let method = serde_json::Value::from(method);
    match params {
        Some(params) => {
            format!(r#"{{"jsonrpc":"2.0","id":0,"method":{method},"params":{params}}}"#)
        }
        None => format!(r#"{{"jsonrpc":"2.0","id":0,"method":{method}}}"#),
    }
}

/// Whether a JSON text is what an id may be: a string, a number or null.
fn is_id(json: &str) -> bool {
    json == NULL_ID || json.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<Request, Refusal> {
        Request::read(&Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn ids_of_any_kind_are_kept_as_they_are() {
        for id in [
            "1",
            "-7",
            "2.5",
            "1e3",
            "\"a\\u0062\"",
            "null",
            "18446744073709551616",
        ] {
            let request = read(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#)).unwrap();
            assert_eq!(request.id.as_deref(), Some(id));
            let response = JsonRawValue::from_string(r#"{"id":0,"result":true}"#.into()).unwrap();
            let answer = String::from_utf8(request.answer(&response).unwrap()).unwrap();
            assert_eq!(
                answer,
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":true}}"#)
            );
        }
    }

    #[test]
    fn a_request_without_id_is_never_answered() {
        let request = read(r#"{"jsonrpc":"2.0","method":"m","params":[1]}"#).unwrap();
        assert_eq!(request.id, None);
        let response = JsonRawValue::from_string(r#"{"id":0,"result":1}"#.into()).unwrap();
        assert_eq!(request.answer(&response), None);
        assert_eq!(request.internal_error("broken"), None);
    }

    #[test]
    fn a_null_result_is_a_result() {
        let request = read(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).unwrap();
        let response = JsonRawValue::from_string(r#"{"id":0,"result":null}"#.into()).unwrap();
        let answer = String::from_utf8(request.answer(&response).unwrap()).unwrap();
        assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":null}"#);
    }

    #[test]
    fn an_object_may_stand_behind_white_space() {
        assert!(read("\r\n\t {\"jsonrpc\":\"2.0\",\"method\":\"m\"}").is_ok());
    }

    #[test]
    fn the_call_keeps_method_and_params() {
        let request =
            read(r#"{"params":{"a":[1, 2]},"extra":0,"id":"x","method":"a\"b","jsonrpc":"2.0"}"#)
                .unwrap();
        let call: serde_json::Value = serde_json::from_str(&request.call).unwrap();
        assert_eq!(call["method"], "a\"b");
        assert_eq!(call["params"]["a"][1], 2);
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_id_found() {
        let cases = [
            ("{", PARSE_ERROR_CODE, "null"),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m""#,
                PARSE_ERROR_CODE,
                "null",
            ),
            ("[1,2", PARSE_ERROR_CODE, "null"),
            ("", PARSE_ERROR_CODE, "null"),
            ("5", INVALID_REQUEST_CODE, "null"),
            ("[]", INVALID_REQUEST_CODE, "null"),
            (r#" ["2.0",4,"health",[]]"#, INVALID_REQUEST_CODE, "null"),
            (
                r#"[{"jsonrpc":"2.0","id":4,"method":"m"}]"#,
                INVALID_REQUEST_CODE,
                "null",
            ),
            (r#"{"jsonrpc":"2.0","id":4}"#, INVALID_REQUEST_CODE, "4"),
            (
                r#"{"jsonrpc":"2.0","id":-4,"method":7}"#,
                INVALID_REQUEST_CODE,
                "-4",
            ),
            (
                r#"{"jsonrpc":"1.0","id":"q","method":"m"}"#,
                INVALID_REQUEST_CODE,
                "\"q\"",
            ),
            (r#"{"id":5,"method":"m"}"#, INVALID_REQUEST_CODE, "5"),
            (
                r#"{"jsonrpc":"2.0","id":[5],"method":"m"}"#,
                INVALID_REQUEST_CODE,
                "null",
            ),
            (
                r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#,
                INVALID_REQUEST_CODE,
                "null",
            ),
        ];
        for (body, code, id) in cases {
            let refusal = read(body).unwrap_err();
            assert_eq!((refusal.code, refusal.id.as_str()), (code, id), "{body}");
            let answer: serde_json::Value = serde_json::from_slice(&refusal.to_answer()).unwrap();
            assert_eq!(answer["error"]["code"], code, "{body}");
            assert_eq!(answer["id"].to_string(), id, "{body}");
        }
        let refusal = Request::read(&Bytes::from_static(b"\"\xff\"")).unwrap_err();
        assert_eq!(refusal.code, PARSE_ERROR_CODE);
    }
}
