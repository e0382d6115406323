//! The generated bindings of the world `guest`. Private: authors see the curated modules.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::indexing_slicing,
    reason = "generated; the contract is documented in wit/"
)]

wit_bindgen::generate!({
    path: "../wit",
    world: "guest",
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "stuga_sdk::__component",
});
