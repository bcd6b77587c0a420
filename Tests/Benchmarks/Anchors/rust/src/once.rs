//! The check after initialisation, and the read of the value.

use crate::harness::{measure_alone, FOLD};
use crate::plan::Plan;
use crate::Subject;

pub const SUBJECTS: &[Subject] = &[
    ("once", "once_cell", once_cell),
    #[cfg(has_once_lock)]
    ("once", "OnceLock", once_lock),
];

fn once_cell(plan: Plan) {
    static VALUE: once_cell::sync::OnceCell<u64> = once_cell::sync::OnceCell::new();
    measure_alone(&plan, &|worker| worker.cheap(|| *VALUE.get_or_init(|| FOLD)));
}

#[cfg(has_once_lock)]
fn once_lock(plan: Plan) {
    static VALUE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    measure_alone(&plan, &|worker| worker.cheap(|| *VALUE.get_or_init(|| FOLD)));
}
