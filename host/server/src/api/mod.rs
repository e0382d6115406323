//! The HTTP surface. Handlers translate; what happens is the host's business.

mod admin;
mod agents;
mod answer;
mod auth;
mod body;
mod docs;
mod error;
mod gateway;
mod health;
mod idempotency;
mod invocations;
mod invoke;
mod jobs;
mod observe;
mod recording;
mod refusal;
mod serve;
mod stream;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::host::Host;

pub(crate) use admin::{breakers::Changed, journal::EntryDetail};
pub use error::Problem;
pub use gateway::Gateway;
pub(crate) use gateway::is_identity;
pub use serve::{Server, serve};

/// What handlers share.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) host: Arc<Host>,
    /// What is in front of it, if anything is.
    pub(crate) gateway: Option<Arc<Gateway>>,
}

/// The routes of a host, behind a gateway if there is one.
pub fn router(host: Arc<Host>, gateway: Option<Gateway>) -> Router {
    let gateway = gateway.map(Arc::new);
    let app = App { host, gateway };
    let (router, description) = OpenApiRouter::with_openapi(docs::description())
        .routes(routes!(invoke::invoke))
        .routes(routes!(agents::list))
        .routes(routes!(invocations::get))
        .routes(routes!(recording::get))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::requeue))
        .routes(routes!(admin::breakers::list))
        .routes(routes!(admin::breakers::isolate))
        .routes(routes!(admin::breakers::release))
        .routes(routes!(admin::breakers::start_drill))
        .routes(routes!(admin::breakers::stop_drill))
        .routes(routes!(admin::tenants::explain))
        .routes(routes!(admin::journal::list))
        .routes(routes!(admin::journal::show, admin::journal::discard))
        .routes(routes!(admin::journal::retry))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .split_for_parts();
    router
        .merge(docs::routes(description))
        .fallback(error::no_such_path)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn_with_state(
            app.clone(),
            observe::observe,
        ))
        .with_state(app)
}

fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(message = message.unwrap_or("unknown"), "a handler panicked");
    Problem::internal().into_response()
}
