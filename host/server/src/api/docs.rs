//! The description of the API for machines and people, made from the handlers.

use axum::Router;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_swagger_ui::SwaggerUi;

use super::App;

/// The description without paths, which the routes add.
pub(crate) fn description() -> OpenApi {
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "A key made with `stuga tenant key create TENANT --name NAME`",
        ))
        .build();
    let admin = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The admin key: `admin.key` in the server's data directory",
        ))
        .build();
    let components = ComponentsBuilder::new()
        .security_scheme("key", SecurityScheme::Http(key))
        .security_scheme("admin", SecurityScheme::Http(admin));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Stuga")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("Calls the agents of a tenant. Failures are RFC 9457 `application/problem+json` with a stable `type`.")),
        )
        .components(Some(components.build()))
        .build()
}

/// `/openapi.json` and, for people, `/docs`.
pub(crate) fn routes(description: OpenApi) -> Router<App> {
    SwaggerUi::new("/docs")
        .url("/openapi.json", description)
        .into()
}
