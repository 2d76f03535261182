//! Content → what a gateway gets: its own fields over the shared ones.

use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::db::calls::Content;
use crate::model::message::{Channel, Options};

/// A content made ready to be shared by the messages that refer to it.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Subject.
    pub subject: Option<Arc<str>>,
    /// Plain text.
    pub body: Option<Arc<str>>,
    /// HTML.
    pub html: Option<Arc<str>>,
    /// JSON text.
    pub data: Option<Arc<str>>,
    /// Parsed options.
    pub options: Option<Arc<Options>>,
}

impl Prepared {
    /// Takes over a stored content.
    ///
    /// # Errors
    ///
    /// When its options are not what `enqueue` lets through: they were written by somebody else.
    pub fn new(content: Content) -> Result<Self, serde_json::Error> {
        let options = match content.options {
            Some(json) => Some(Arc::new(serde_json::from_str(&json.0)?)),
            None => None,
        };
        Ok(Self {
            subject: content.subject.map(Arc::from),
            body: content.body.map(Arc::from),
            html: content.html.map(Arc::from),
            data: content.data.map(|json| Arc::from(json.0)),
            options,
        })
    }

    /// Fills what this message does not say itself from the content that it shares. Of data, both are objects
    /// merged for the channels that carry it: the recipient's fields win.
    ///
    /// # Errors
    ///
    /// When data is not JSON, which Postgres would not have stored.
    pub fn over(mut self, shared: &Self, channel: Channel) -> Result<Self, serde_json::Error> {
        fn fill<T: ?Sized>(own: &mut Option<Arc<T>>, shared: &Option<Arc<T>>) {
            if own.is_none() {
                own.clone_from(shared);
            }
        }
        let carries_data = !matches!(channel, Channel::Email | Channel::Sms | Channel::Voice);
        if carries_data && let (Some(own), Some(shared)) = (&self.data, &shared.data) {
            self.data = Some(merge(shared, own)?.into());
        }
        fill(&mut self.subject, &shared.subject);
        fill(&mut self.body, &shared.body);
        fill(&mut self.html, &shared.html);
        fill(&mut self.data, &shared.data);
        fill(&mut self.options, &shared.options);
        Ok(self)
    }

    /// Its data for a gateway.
    ///
    /// # Errors
    ///
    /// When data is not JSON, which Postgres would not have stored.
    pub fn raw_data(&self, channel: Channel) -> Result<Option<Arc<RawValue>>, serde_json::Error> {
        if matches!(channel, Channel::Email | Channel::Sms | Channel::Voice) {
            return Ok(None);
        }
        match &self.data {
            Some(text) => Ok(Some(RawValue::from_string(text.to_string())?.into())),
            None => Ok(None),
        }
    }
}

fn merge(shared: &str, own: &str) -> Result<String, serde_json::Error> {
    let merged = match (serde_json::from_str(shared)?, serde_json::from_str(own)?) {
        (Value::Object(mut merged), Value::Object(own)) => {
            merged.extend(own);
            Value::Object(merged)
        }
        (_, own) => own,
    };
    serde_json::to_string(&merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::types::JsonText;

    fn content(subject: &str, data: &str) -> Prepared {
        let content = Content {
            subject: Some(subject.into()),
            data: Some(JsonText(data.into())),
            ..Content::default()
        };
        Prepared::new(content).expect("valid")
    }

    /// What the recipient brings wins over what the bulk send shares.
    #[test]
    fn own_fields_win_and_shared_ones_fill_the_rest() {
        let shared = content("Shared", r#"{"a": 1, "b": 1}"#);
        let own = Prepared {
            subject: None,
            ..content("", r#"{"b": 2}"#)
        };
        let message = own.over(&shared, Channel::Push).expect("valid");
        assert_eq!(message.subject.as_deref(), Some("Shared"));
        assert_eq!(message.data.as_deref(), Some(r#"{"a":1,"b":2}"#));
    }

    /// A mail carries no data: it is not parsed for one, a million times.
    #[test]
    fn data_is_not_merged_for_a_channel_that_carries_none() {
        let shared = content("Shared", r#"{"a": 1}"#);
        let message = content("Own", r#"{"b": 2}"#)
            .over(&shared, Channel::Email)
            .expect("valid");
        assert_eq!(message.data.as_deref(), Some(r#"{"b": 2}"#));
        assert!(message.raw_data(Channel::Email).expect("valid").is_none());
    }
}
