//! Which requests of a WebSocket connection are taken in: no more than a peer may have waiting, and
//! none that could not be answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jsonrpsee::core::middleware::{Batch, Notification, Request, RpcServiceT};
use jsonrpsee::server::MethodResponse;
use jsonrpsee::types::{ErrorObject, Id, error::INVALID_REQUEST_CODE};
use tokio_util::sync::CancellationToken;

use super::methods::REFUSED;
use crate::rpc::server::{MAX_BACKLOG, REQUEST_COST};

/// Why a request is refused that jsonrpsee takes for one that wants no answer.
const NO_ID: &str = "over a WebSocket, the id of a request has to be a string, a whole number of 0 or more, \
                     or null";

/// How much of one connection may wait to be answered, and whether that was too little.
#[derive(Debug, Clone)]
pub struct Budget {
    /// In bytes.
    most: usize,
    waiting: Arc<AtomicUsize>,
    exceeded: CancellationToken,
}

/// A request that waits.
struct Debt {
    waiting: Arc<AtomicUsize>,
    cost: usize,
}

impl Budget {
    /// As much as over standard streams.
    pub fn new() -> Budget {
        Budget::of(MAX_BACKLOG)
    }

    fn of(most: usize) -> Budget {
        Budget {
            most,
            waiting: Arc::default(),
            exceeded: CancellationToken::new(),
        }
    }

    /// Waits until more was sent than may wait; says what is wrong with that.
    pub async fn exceeded(&self) -> String {
        self.exceeded.cancelled().await;
        self.objection()
    }

    fn objection(&self) -> String {
        format!("over {} bytes of requests wait to be answered", self.most)
    }

    fn take_in(&self, request: &Request<'_>) -> Option<Debt> {
        let params = request
            .params
            .as_ref()
            .map_or(0, |params| params.get().len());
        let debt = Debt {
            waiting: Arc::clone(&self.waiting),
            cost: REQUEST_COST + params,
        };
        let waiting = debt.cost + self.waiting.fetch_add(debt.cost, Ordering::Relaxed);
        if waiting <= self.most {
            return Some(debt);
        }
        self.exceeded.cancel();
        None
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.cost, Ordering::Relaxed);
    }
}

/// A service of jsonrpsee's behind a [`Budget`].
#[derive(Debug, Clone)]
pub struct Admission<S> {
    service: S,
    budget: Budget,
}

impl<S> Admission<S> {
    /// Of this service.
    pub fn to(service: S, budget: Budget) -> Self {
        Admission { service, budget }
    }
}

impl<S> RpcServiceT for Admission<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let Admission { service, budget } = self.clone();
        let taken_in = budget.take_in(&request);
        async move {
            match taken_in {
                Some(_debt) => service.call(request).await,
                None => {
                    let error = ErrorObject::owned(REFUSED, budget.objection(), None::<()>);
                    MethodResponse::error(request.id, error)
                }
            }
        }
    }

    fn batch<'a>(&self, requests: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        // They are refused before they come here.
        self.service.batch(requests)
    }

    /// A number with a sign or a fraction is no id to jsonrpsee, and its request looks like one without
    /// an id. Whoever sent it waits for an answer, so this is one.
    fn notification<'a>(
        &self,
        request: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        tracing::warn!("refused request `{}`: {NO_ID}", request.method_name());
        let error = ErrorObject::borrowed(INVALID_REQUEST_CODE, NO_ID, None);
        std::future::ready(MethodResponse::error(Id::Null, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::pin::pin;

    /// Answers nothing.
    #[derive(Debug, Clone)]
    struct Never;

    impl RpcServiceT for Never {
        type MethodResponse = MethodResponse;
        type NotificationResponse = MethodResponse;
        type BatchResponse = MethodResponse;

        fn call<'a>(&self, _: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
            std::future::pending()
        }

        fn batch<'a>(&self, _: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
            std::future::pending()
        }

        fn notification<'a>(
            &self,
            _: Notification<'a>,
        ) -> impl Future<Output = MethodResponse> + Send + 'a {
            std::future::pending()
        }
    }

    fn request(params: &str) -> Request<'static> {
        let params = jsonrpsee::core::JsonRawValue::from_string(params.to_owned());
        Request::owned("m".into(), Some(params.unwrap()), Id::Number(1))
    }

    #[test]
    fn what_waits_is_counted_until_it_is_answered_or_given_up() {
        let budget = Budget::of(2 * REQUEST_COST + 10);
        let admission = Admission::to(Never, budget.clone());
        let mut first = Box::pin(admission.call(request("[1]")));
        let mut second = pin!(admission.call(request("[1,2]")));
        assert!((&mut first).now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let mut third = pin!(admission.call(request("[1,2]")));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(budget.exceeded().now_or_never().is_none());
        let refused = admission.call(request("[]")).now_or_never().unwrap();
        assert_eq!(refused.as_error_code(), Some(REFUSED));
        assert!(budget.exceeded().now_or_never().is_some());
    }

    #[test]
    fn what_cannot_be_answered_is_refused_with_an_answer() {
        let admission = Admission::to(Never, Budget::new());
        let request = Notification::new("m".into(), None);
        let refused = admission.notification(request).now_or_never().unwrap();
        assert!(refused.is_method_call(), "it is sent");
        assert_eq!(refused.as_error_code(), Some(INVALID_REQUEST_CODE));
    }
}
