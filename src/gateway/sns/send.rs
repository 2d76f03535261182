//! A message → the parameters of `Publish` (<https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>).

use url::form_urlencoded;

use super::config::{Config, SmsType};
use crate::model::message::{MessageType, Rendered};
use crate::model::outcome::{Blame, Fault, SendError};

/// The body of the request, a form.
pub(super) fn body(config: &Config, message: &Rendered) -> Result<String, SendError> {
    let text = message.body.as_deref().filter(|text| !text.is_empty());
    let Some(text) = text else {
        let fault = Fault::Permanent(Blame::Message);
        return Err(SendError::new(fault, "content_missing"));
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "Publish")
        .append_pair("Version", "2010-03-31")
        .append_pair("PhoneNumber", &message.recipient)
        .append_pair("Message", text);
    let kind = match sms_type(config, message.message_type) {
        SmsType::Promotional => "Promotional",
        SmsType::Transactional => "Transactional",
    };
    let attributes = [
        ("AWS.SNS.SMS.SMSType", "String", Some(kind)),
        (
            "AWS.SNS.SMS.SenderID",
            "String",
            config.sender_id.as_deref(),
        ),
        (
            "AWS.SNS.SMS.MaxPrice",
            "Number",
            config.max_price.as_deref(),
        ),
        (
            "AWS.MM.SMS.OriginationNumber",
            "String",
            config.origination_number.as_deref(),
        ),
    ];
    let given = attributes
        .into_iter()
        .filter_map(|(n, t, value)| Some((n, t, value?)));
    for (index, (name, data_type, value)) in (1..).zip(given) {
        let entry = format!("MessageAttributes.entry.{index}");
        form.append_pair(&format!("{entry}.Name"), name)
            .append_pair(&format!("{entry}.Value.DataType"), data_type)
            .append_pair(&format!("{entry}.Value.StringValue"), value);
    }
    Ok(form.finish())
}

fn sms_type(config: &Config, message_type: MessageType) -> SmsType {
    config.sms_type.unwrap_or(match message_type {
        MessageType::Newsletter | MessageType::Campaign => SmsType::Promotional,
        MessageType::Emergency | MessageType::Alert | MessageType::Transactional => {
            SmsType::Transactional
        }
    })
}
