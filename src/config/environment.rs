//! Gateways, and endpoints of webhooks, that the environment alone configures.

use toml::{Table, Value};

use super::ConfigError;

/// A gateway or endpoint, and the variables that its users know.
struct Known {
    /// Its type, and its name in the configuration.
    name: &'static str,
    /// It is configured when one of these is set; one that ends in `_ENABLED`, when it says so.
    any_of: &'static [&'static str],
    /// Setting, variable, and what the variable holds. Of two variables for a setting the later one wins.
    settings: &'static [(&'static str, &'static str, Kind)],
}

enum Kind {
    Text,
    Integer,
}

const KNOWN: &[Known] = &[
    Known {
        name: "smtp",
        any_of: &["SMTP_URL", "SMTP_HOST"],
        settings: &[
            ("url", "SMTP_URL", Kind::Text),
            ("host", "SMTP_HOST", Kind::Text),
            ("port", "SMTP_PORT", Kind::Integer),
            ("username", "SMTP_USERNAME", Kind::Text),
            ("password", "SMTP_PASSWORD", Kind::Text),
            ("from", "MAIL_FROM", Kind::Text),
        ],
    },
    Known {
        name: "twilio",
        any_of: &["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"],
        settings: &[
            ("account_sid", "TWILIO_ACCOUNT_SID", Kind::Text),
            ("auth_token", "TWILIO_AUTH_TOKEN", Kind::Text),
            ("from", "TWILIO_FROM_NUMBER", Kind::Text),
            (
                "messaging_service_sid",
                "TWILIO_MESSAGING_SERVICE_SID",
                Kind::Text,
            ),
            ("api_url", "TWILIO_API_URL", Kind::Text),
        ],
    },
    Known {
        name: "bandwidth",
        any_of: &["BANDWIDTH_ACCOUNT_ID", "BANDWIDTH_API_TOKEN"],
        settings: &[
            ("account_id", "BANDWIDTH_ACCOUNT_ID", Kind::Text),
            ("api_token", "BANDWIDTH_API_TOKEN", Kind::Text),
            ("api_secret", "BANDWIDTH_API_SECRET", Kind::Text),
            ("application_id", "BANDWIDTH_APPLICATION_ID", Kind::Text),
            ("from", "BANDWIDTH_FROM_NUMBER", Kind::Text),
            ("api_url", "BANDWIDTH_API_URL", Kind::Text),
        ],
    },
    Known {
        name: "ovh",
        // Not the keys: they are often there for another of OVH's services.
        any_of: &["OVH_SMS_SERVICE", "OVH_SMS_SENDER"],
        settings: &[
            ("application_key", "OVH_APPLICATION_KEY", Kind::Text),
            ("application_secret", "OVH_APPLICATION_SECRET", Kind::Text),
            ("consumer_key", "OVH_CONSUMER_KEY", Kind::Text),
            ("service", "OVH_SMS_SERVICE", Kind::Text),
            ("sender", "OVH_SMS_SENDER", Kind::Text),
            ("api_url", "OVH_API_URL", Kind::Text),
        ],
    },
    Known {
        name: "webhook",
        any_of: &["WEBHOOK_SIGNING_SECRET"],
        settings: &[("secret", "WEBHOOK_SIGNING_SECRET", Kind::Text)],
    },
    Known {
        name: "fcm",
        any_of: &["GOOGLE_APPLICATION_CREDENTIALS", "FCM_SERVER_KEY"],
        settings: &[
            (
                "credentials_file",
                "GOOGLE_APPLICATION_CREDENTIALS",
                Kind::Text,
            ),
            ("project_id", "FCM_PROJECT_ID", Kind::Text),
            ("api_url", "FCM_API_URL", Kind::Text),
            ("server_key", "FCM_SERVER_KEY", Kind::Text),
        ],
    },
    Known {
        name: "apns",
        any_of: &["APNS_KEY_FILE"],
        settings: &[
            ("key_file", "APNS_KEY_FILE", Kind::Text),
            ("key_id", "APNS_KEY_ID", Kind::Text),
            ("team_id", "APNS_TEAM_ID", Kind::Text),
            ("topic", "APNS_TOPIC", Kind::Text),
            ("environment", "APNS_ENVIRONMENT", Kind::Text),
            ("api_url", "APNS_API_URL", Kind::Text),
        ],
    },
    Known {
        name: "webpush",
        any_of: &["WEBPUSH_VAPID_PRIVATE_KEY"],
        settings: &[
            ("vapid_private_key", "WEBPUSH_VAPID_PRIVATE_KEY", Kind::Text),
            ("vapid_subject", "WEBPUSH_VAPID_SUBJECT", Kind::Text),
        ],
    },
    Known {
        name: "postal",
        any_of: &["POSTAL_API_KEY", "POSTAL_SERVER_KEY"],
        settings: &[
            ("api_url", "POSTAL_API_URL", Kind::Text),
            ("api_key", "POSTAL_SERVER_KEY", Kind::Text),
            ("api_key", "POSTAL_API_KEY", Kind::Text),
            ("from", "MAIL_FROM", Kind::Text),
            ("from", "POSTAL_FROM_ADDRESS", Kind::Text),
        ],
    },
    Known {
        name: "ses",
        any_of: &["SES_FROM_ADDRESS"], // not AWS's own: they may be there for other ends
        settings: &[
            ("access_key_id", "AWS_ACCESS_KEY_ID", Kind::Text),
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY", Kind::Text),
            ("session_token", "AWS_SESSION_TOKEN", Kind::Text),
            ("region", "AWS_DEFAULT_REGION", Kind::Text),
            ("region", "AWS_REGION", Kind::Text),
            ("api_url", "SES_API_URL", Kind::Text),
            ("configuration_set", "SES_CONFIGURATION_SET", Kind::Text),
            ("from", "SES_FROM_ADDRESS", Kind::Text),
        ],
    },
    Known {
        name: "sendgrid",
        any_of: &["SENDGRID_API_KEY"],
        settings: &[
            ("api_key", "SENDGRID_API_KEY", Kind::Text),
            ("api_url", "SENDGRID_API_URL", Kind::Text),
            ("from", "MAIL_FROM", Kind::Text),
        ],
    },
    Known {
        name: "mailgun",
        any_of: &["MAILGUN_API_KEY"],
        settings: &[
            ("api_key", "MAILGUN_API_KEY", Kind::Text),
            ("domain", "MAILGUN_DOMAIN", Kind::Text),
            ("region", "MAILGUN_REGION", Kind::Text),
            ("api_url", "MAILGUN_API_URL", Kind::Text),
            ("from", "MAIL_FROM", Kind::Text),
        ],
    },
    Known {
        name: "sns",
        any_of: &["SNS_ENABLED"], // not AWS's own: they may be there for other ends
        settings: &[
            ("access_key_id", "AWS_ACCESS_KEY_ID", Kind::Text),
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY", Kind::Text),
            ("session_token", "AWS_SESSION_TOKEN", Kind::Text),
            ("region", "AWS_DEFAULT_REGION", Kind::Text),
            ("region", "AWS_REGION", Kind::Text),
            ("api_url", "SNS_API_URL", Kind::Text),
        ],
    },
];

/// The endpoints to which providers post: each is configured when what proves a request is set.
const KNOWN_WEBHOOKS: &[Known] = &[
    Known {
        name: "postal",
        any_of: &["POSTAL_WEBHOOK_PUBLIC_KEY", "POSTAL_JWKS_URL"],
        settings: &[
            ("public_keys", "POSTAL_WEBHOOK_PUBLIC_KEY", Kind::Text),
            ("jwks_url", "POSTAL_JWKS_URL", Kind::Text),
        ],
    },
    Known {
        name: "ses",
        any_of: &["SNS_TOPIC_ARNS"],
        settings: &[("topic_arns", "SNS_TOPIC_ARNS", Kind::Text)],
    },
    Known {
        name: "sendgrid",
        any_of: &["SENDGRID_WEBHOOK_PUBLIC_KEY"],
        settings: &[("public_keys", "SENDGRID_WEBHOOK_PUBLIC_KEY", Kind::Text)],
    },
    Known {
        name: "mailgun",
        any_of: &["MAILGUN_WEBHOOK_SIGNING_KEY"],
        settings: &[("signing_keys", "MAILGUN_WEBHOOK_SIGNING_KEY", Kind::Text)],
    },
    Known {
        name: "sns",
        any_of: &["SNS_TOPIC_ARNS"],
        settings: &[("topic_arns", "SNS_TOPIC_ARNS", Kind::Text)],
    },
    Known {
        name: "smtp",
        any_of: &["SMTP_WEBHOOK_TOKEN"],
        settings: &[("token", "SMTP_WEBHOOK_TOKEN", Kind::Text)],
    },
    Known {
        name: "twilio",
        any_of: &["TWILIO_AUTH_TOKEN"],
        settings: &[("auth_token", "TWILIO_AUTH_TOKEN", Kind::Text)],
    },
    Known {
        name: "bandwidth",
        any_of: &["BANDWIDTH_CALLBACK_USERNAME", "BANDWIDTH_CALLBACK_PASSWORD"],
        settings: &[
            ("username", "BANDWIDTH_CALLBACK_USERNAME", Kind::Text),
            ("password", "BANDWIDTH_CALLBACK_PASSWORD", Kind::Text),
        ],
    },
    Known {
        name: "ovh",
        any_of: &["OVH_CALLBACK_SECRET"],
        settings: &[("secret", "OVH_CALLBACK_SECRET", Kind::Text)],
    },
    Known {
        name: "fcm",
        any_of: &["FCM_WEBHOOK_TOKEN"],
        settings: &[("token", "FCM_WEBHOOK_TOKEN", Kind::Text)],
    },
    Known {
        name: "apns",
        any_of: &["APNS_WEBHOOK_TOKEN"],
        settings: &[("token", "APNS_WEBHOOK_TOKEN", Kind::Text)],
    },
    Known {
        name: "webpush",
        any_of: &["WEBPUSH_WEBHOOK_TOKEN"],
        settings: &[("token", "WEBPUSH_WEBHOOK_TOKEN", Kind::Text)],
    },
    Known {
        name: "generic",
        any_of: &["POSTROAD_WEBHOOK_SECRET"],
        settings: &[("secret", "POSTROAD_WEBHOOK_SECRET", Kind::Text)],
    },
];

/// A variable that, when it says `false`, leaves out what the environment says of a channel.
struct Switch {
    variable: &'static str,
    /// Gateways that it switches off.
    gateways: &'static [&'static str],
    /// Other variables that then count as not set, since they name such gateways.
    hides: &'static [&'static str],
}

const SWITCHES: &[Switch] = &[
    Switch {
        variable: "SMS_ENABLED",
        gateways: &["twilio", "bandwidth", "ovh", "sns"],
        hides: &["SMS_DEFAULT_GATEWAY"],
    },
    Switch {
        variable: "PUSH_ENABLED",
        gateways: &["fcm", "apns", "webpush"],
        hides: &[],
    },
];

impl Switch {
    /// Whether it is off; on when it is not set.
    fn is_off(&self, variable: &dyn Fn(&str) -> Option<String>) -> Result<bool, ConfigError> {
        match variable(self.variable) {
            Some(text) => Ok(!yes_or_no(self.variable, &text)?),
            None => Ok(false),
        }
    }
}

/// The variables that are hidden by switches that are off.
///
/// # Errors
///
/// A switch that is neither on nor off.
pub(super) fn hidden(
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<&'static str>, ConfigError> {
    let mut hidden = Vec::new();
    for switch in SWITCHES {
        if switch.is_off(variable)? {
            hidden.extend(switch.hides);
        }
    }
    Ok(hidden)
}

/// Adds to `gateways` those that the environment configures. One that is there already is left alone, so that a
/// file's `host` is never mixed with the environment's `url`.
///
/// # Errors
///
/// A variable whose value cannot be what it should be.
pub(super) fn add_gateways(
    gateways: &mut Table,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    let mut off = Vec::new();
    for switch in SWITCHES {
        if switch.is_off(variable)? {
            off.extend(switch.gateways);
        }
    }
    add("gateways", KNOWN, &off, gateways, variable)
}

/// The same for the endpoints to which providers post.
///
/// # Errors
///
/// A variable whose value cannot be what it should be.
pub(super) fn add_webhooks(
    webhooks: &mut Table,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    add("webhooks", KNOWN_WEBHOOKS, &[], webhooks, variable)
}

fn add(
    place: &str,
    known: &[Known],
    off: &[&str],
    tables: &mut Table,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    for known in known {
        let mut configured = false;
        for name in known.any_of {
            configured |= match variable(name) {
                Some(text) if name.ends_with("_ENABLED") => yes_or_no(name, &text)?,
                text => text.is_some(),
            };
        }
        if !configured || off.contains(&known.name) || tables.contains_key(known.name) {
            continue;
        }
        let mut table = Table::new();
        table.insert("type".into(), known.name.into());
        for (setting, name, kind) in known.settings {
            let Some(text) = variable(name) else { continue };
            let value = match kind {
                Kind::Text => Value::String(text),
                Kind::Integer => Value::Integer(text.trim().parse().map_err(|_| {
                    ConfigError::new(
                        format!("{place}.{}.{setting}", known.name),
                        format!("the environment variable {name} must be a whole number"),
                    )
                })?),
            };
            table.insert((*setting).into(), value);
        }
        tables.insert(known.name.into(), table.into());
    }
    Ok(())
}

/// Reads a switch.
fn yes_or_no(name: &str, text: &str) -> Result<bool, ConfigError> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(ConfigError::new(name, "must be true or false")),
    }
}
