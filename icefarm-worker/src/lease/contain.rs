//! Running what others wrote, so that its panics stay where they are.

use futures::FutureExt;
use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

/// Runs `work`; a panic in it becomes an error with its message.
///
/// What the panic left half done is never looked at again: whoever panicked is dropped.
pub(crate) async fn contain<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|payload| message(&*payload))
}

/// The same for a plain function.
pub(crate) fn contain_call<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("it panicked: {text}"),
        None => "it panicked".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn panics_become_errors() {
        assert_eq!(contain(async { 1 }).await, Ok(1));
        let text = contain(async { panic!("{} apples", 3) }).await.unwrap_err();
        assert_eq!(text, "it panicked: 3 apples");
        assert_eq!(contain_call(|| panic!("plain")).unwrap_err(), "it panicked: plain");
    }
}
