//! One program for all kinds of input, so that only one is linked. `ONAIR_FUZZ_INPUT` names the
//! kind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static CHECK: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("ONAIR_FUZZ_INPUT").unwrap_or_default();
        let Some(check) = fuzz::check(&name) else {
            eprintln!("fuzz: ONAIR_FUZZ_INPUT is {name:?}; expected one of {}", fuzz::names().join(", "));
            std::process::exit(2)
        };
        CHECK.get_or_init(|| check);
    },
    |bytes: &[u8]| {
        if let Some(check) = CHECK.get() {
            check(bytes);
        }
    }
);
