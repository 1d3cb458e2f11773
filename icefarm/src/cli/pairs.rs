//! Arguments of a kind, as `KEY=VALUE` on the command line.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A text that is no `KEY=VALUE`, or a key given twice.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PairError {
    #[error("`--arg {0}`: write KEY=VALUE, or an object of JSON")]
    Form(String),
    #[error("`--label {0}`: write KEY=VALUE")]
    Label(String),
    #[error("`--arg {0}=..` is given twice")]
    Twice(String),
}

/// The arguments as an object: what `KEY=VALUE` says, whose value is JSON or else a text, and the
/// keys of objects of JSON.
pub(crate) fn object(pairs: &[String]) -> Result<Map<String, Value>, PairError> {
    let mut object = Map::new();
    for pair in pairs {
        if let Ok(Value::Object(several)) = serde_json::from_str(pair) {
            for (key, value) in several {
                insert(&mut object, key, value)?;
            }
            continue;
        }
        let (key, value) = match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => (key, value),
            _ => return Err(PairError::Form(pair.clone())),
        };
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        insert(&mut object, key.to_owned(), value)?;
    }
    Ok(object)
}

fn insert(object: &mut Map<String, Value>, key: String, value: Value) -> Result<(), PairError> {
    match object.insert(key.clone(), value) {
        Some(_) => Err(PairError::Twice(key)),
        None => Ok(()),
    }
}

/// Labels that boards must have, from `KEY=VALUE`.
pub(crate) fn labels(pairs: &[String]) -> Result<BTreeMap<String, String>, PairError> {
    let mut labels = BTreeMap::new();
    for pair in pairs {
        let (key, value) = match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => (key, value),
            _ => return Err(PairError::Label(pair.clone())),
        };
        labels.insert(key.to_owned(), value.to_owned());
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_json_and_the_rest_is_text() {
        let pairs = ["n=3", "flag=true", "name=rack 2", "list=[1,2]", "empty=", "eq=a=b"];
        let pairs: Vec<String> = pairs.map(str::to_owned).into();
        let expected = json!({
            "n": 3, "flag": true, "name": "rack 2", "list": [1, 2], "empty": "", "eq": "a=b"
        });
        assert_eq!(Value::Object(object(&pairs).unwrap()), expected);
    }

    #[test]
    fn an_object_gives_several_at_once() {
        let given = ["a=1", r#"{"b": [2], "c": "x=y"}"#].map(str::to_owned);
        assert_eq!(Value::Object(object(&given).unwrap()), json!({"a": 1, "b": [2], "c": "x=y"}));
        let twice = ["a=1", r#"{"a": 2}"#].map(str::to_owned);
        assert_eq!(object(&twice), Err(PairError::Twice("a".to_owned())));
        // What only begins like one may be a text.
        let text = ["{=1".to_owned()];
        assert_eq!(Value::Object(object(&text).unwrap()), json!({"{": 1}));
    }

    #[test]
    fn other_forms_are_refused() {
        assert_eq!(object(&["n".to_owned()]), Err(PairError::Form("n".to_owned())));
        let twice = ["n=1".to_owned(), "n=2".to_owned()];
        assert_eq!(object(&twice), Err(PairError::Twice("n".to_owned())));
    }
}
