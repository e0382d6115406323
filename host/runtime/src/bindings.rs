//! The host's side of `wit/`: the one `bindgen!` of the workspace. Nothing outside this crate sees a generated type.

#![allow(
    missing_docs,
    unreachable_pub,
    reason = "generated from wit/, where the documentation stands"
)]
#![allow(
    unsafe_code,
    reason = "the generated conversions implement unsafe traits of wasmtime"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "guest",
    imports: {
        "stuga:agent/log": trappable,
        "stuga:agent/clock": trappable,
        "stuga:agent/random": trappable,
        "stuga:agent/config": trappable,
        default: async | trappable,
    },
    exports: { default: async },
    trappable_error_type: { "stuga:agent/types.error" => stuga_core::Error },
    require_store_data_send: true,
});
