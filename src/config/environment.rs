//! Gateways, and endpoints of webhooks, that the environment alone configures.

use toml::{Table, Value};

use super::ConfigError;

/// A gateway or endpoint, and the variables that its users know.
struct Known {
    /// Its type, and its name in the configuration.
    name: &'static str,
    /// It is configured when one of these is set; one that ends in `_ENABLED`, when it says so.
    any_of: &'static [&'static str],
    settings: Settings,
}

/// Each setting with its variable. Of two variables for a setting the later one wins.
type Settings = &'static [(&'static str, &'static str)];

/// Settings that are whole numbers; the others are text.
const INTEGERS: [&str; 1] = ["port"];

const KNOWN: &[Known] = &[
    Known {
        name: "smtp",
        any_of: &["SMTP_URL", "SMTP_HOST"],
        settings: &[
            ("url", "SMTP_URL"),
            ("host", "SMTP_HOST"),
            ("port", "SMTP_PORT"),
            ("username", "SMTP_USERNAME"),
            ("password", "SMTP_PASSWORD"),
            ("from", "MAIL_FROM"),
        ],
    },
    Known {
        name: "twilio",
        any_of: &["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"],
        settings: &[
            ("account_sid", "TWILIO_ACCOUNT_SID"),
            ("auth_token", "TWILIO_AUTH_TOKEN"),
            ("from", "TWILIO_FROM_NUMBER"),
            ("messaging_service_sid", "TWILIO_MESSAGING_SERVICE_SID"),
            ("api_url", "TWILIO_API_URL"),
        ],
    },
    Known {
        name: "bandwidth",
        any_of: &["BANDWIDTH_ACCOUNT_ID", "BANDWIDTH_API_TOKEN"],
        settings: &[
            ("account_id", "BANDWIDTH_ACCOUNT_ID"),
            ("api_token", "BANDWIDTH_API_TOKEN"),
            ("api_secret", "BANDWIDTH_API_SECRET"),
            ("application_id", "BANDWIDTH_APPLICATION_ID"),
            ("from", "BANDWIDTH_FROM_NUMBER"),
            ("api_url", "BANDWIDTH_API_URL"),
        ],
    },
    Known {
        name: "ovh",
        // Not the keys: they are often there for another of OVH's services.
        any_of: &["OVH_SMS_SERVICE", "OVH_SMS_SENDER"],
        settings: &[
            ("application_key", "OVH_APPLICATION_KEY"),
            ("application_secret", "OVH_APPLICATION_SECRET"),
            ("consumer_key", "OVH_CONSUMER_KEY"),
            ("service", "OVH_SMS_SERVICE"),
            ("sender", "OVH_SMS_SENDER"),
            ("api_url", "OVH_API_URL"),
        ],
    },
    Known {
        name: "webhook",
        any_of: &["WEBHOOK_SIGNING_SECRET"],
        settings: &[("secret", "WEBHOOK_SIGNING_SECRET")],
    },
    Known {
        name: "fcm",
        any_of: &["GOOGLE_APPLICATION_CREDENTIALS", "FCM_SERVER_KEY"],
        settings: &[
            ("credentials_file", "GOOGLE_APPLICATION_CREDENTIALS"),
            ("project_id", "FCM_PROJECT_ID"),
            ("api_url", "FCM_API_URL"),
            ("server_key", "FCM_SERVER_KEY"),
        ],
    },
    Known {
        name: "apns",
        any_of: &["APNS_KEY_FILE"],
        settings: &[
            ("key_file", "APNS_KEY_FILE"),
            ("key_id", "APNS_KEY_ID"),
            ("team_id", "APNS_TEAM_ID"),
            ("topic", "APNS_TOPIC"),
            ("environment", "APNS_ENVIRONMENT"),
            ("api_url", "APNS_API_URL"),
        ],
    },
    Known {
        name: "webpush",
        any_of: &["WEBPUSH_VAPID_PRIVATE_KEY"],
        settings: &[
            ("vapid_private_key", "WEBPUSH_VAPID_PRIVATE_KEY"),
            ("vapid_subject", "WEBPUSH_VAPID_SUBJECT"),
        ],
    },
    Known {
        name: "postal",
        any_of: &["POSTAL_API_KEY", "POSTAL_SERVER_KEY"],
        settings: &[
            ("api_url", "POSTAL_API_URL"),
            ("api_key", "POSTAL_SERVER_KEY"),
            ("api_key", "POSTAL_API_KEY"),
            ("from", "MAIL_FROM"),
            ("from", "POSTAL_FROM_ADDRESS"),
        ],
    },
    Known {
        name: "ses",
        any_of: &["SES_FROM_ADDRESS"], // not AWS's own: they may be there for other ends
        settings: &[
            ("access_key_id", "AWS_ACCESS_KEY_ID"),
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            ("session_token", "AWS_SESSION_TOKEN"),
            ("region", "AWS_DEFAULT_REGION"),
            ("region", "AWS_REGION"),
            ("api_url", "SES_API_URL"),
            ("configuration_set", "SES_CONFIGURATION_SET"),
            ("from", "SES_FROM_ADDRESS"),
        ],
    },
    Known {
        name: "sendgrid",
        any_of: &["SENDGRID_API_KEY"],
        settings: &[
            ("api_key", "SENDGRID_API_KEY"),
            ("api_url", "SENDGRID_API_URL"),
            ("from", "MAIL_FROM"),
        ],
    },
    Known {
        name: "mailgun",
        any_of: &["MAILGUN_API_KEY"],
        settings: &[
            ("api_key", "MAILGUN_API_KEY"),
            ("domain", "MAILGUN_DOMAIN"),
            ("region", "MAILGUN_REGION"),
            ("api_url", "MAILGUN_API_URL"),
            ("from", "MAIL_FROM"),
        ],
    },
    Known {
        name: "sns",
        any_of: &["SNS_ENABLED"], // not AWS's own: they may be there for other ends
        settings: &[
            ("access_key_id", "AWS_ACCESS_KEY_ID"),
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            ("session_token", "AWS_SESSION_TOKEN"),
            ("region", "AWS_DEFAULT_REGION"),
            ("region", "AWS_REGION"),
            ("api_url", "SNS_API_URL"),
        ],
    },
];

/// The endpoints to which providers post: each is configured when one of its variables is set, which hold what proves a
/// request.
const KNOWN_WEBHOOKS: &[(&str, Settings)] = &[
    (
        "postal",
        &[
            ("public_keys", "POSTAL_WEBHOOK_PUBLIC_KEY"),
            ("jwks_url", "POSTAL_JWKS_URL"),
        ],
    ),
    ("ses", &[("topic_arns", "SNS_TOPIC_ARNS")]),
    (
        "sendgrid",
        &[("public_keys", "SENDGRID_WEBHOOK_PUBLIC_KEY")],
    ),
    (
        "mailgun",
        &[("signing_keys", "MAILGUN_WEBHOOK_SIGNING_KEY")],
    ),
    ("sns", &[("topic_arns", "SNS_TOPIC_ARNS")]),
    ("smtp", &[("token", "SMTP_WEBHOOK_TOKEN")]),
    ("twilio", &[("auth_token", "TWILIO_AUTH_TOKEN")]),
    (
        "bandwidth",
        &[
            ("username", "BANDWIDTH_CALLBACK_USERNAME"),
            ("password", "BANDWIDTH_CALLBACK_PASSWORD"),
        ],
    ),
    ("ovh", &[("secret", "OVH_CALLBACK_SECRET")]),
    ("fcm", &[("token", "FCM_WEBHOOK_TOKEN")]),
    ("apns", &[("token", "APNS_WEBHOOK_TOKEN")]),
    ("webpush", &[("token", "WEBPUSH_WEBHOOK_TOKEN")]),
    ("generic", &[("secret", "POSTROAD_WEBHOOK_SECRET")]),
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
    for known in KNOWN {
        let mut configured = false;
        for name in known.any_of {
            configured |= match variable(name) {
                Some(text) if name.ends_with("_ENABLED") => yes_or_no(name, &text)?,
                text => text.is_some(),
            };
        }
        if configured && !off.contains(&known.name) {
            add("gateways", known.name, known.settings, gateways, variable)?;
        }
    }
    Ok(())
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
    for (name, settings) in KNOWN_WEBHOOKS {
        if settings.iter().any(|(_, name)| variable(name).is_some()) {
            add("webhooks", name, settings, webhooks, variable)?;
        }
    }
    Ok(())
}

/// Adds the table `place.name`, unless there is one.
fn add(
    place: &str,
    name: &str,
    settings: Settings,
    tables: &mut Table,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    if tables.contains_key(name) {
        return Ok(());
    }
    let mut table = Table::new();
    table.insert("type".into(), name.into());
    for (setting, from) in settings {
        let Some(text) = variable(from) else { continue };
        let value = match INTEGERS.contains(setting) {
            false => Value::String(text),
            true => Value::Integer(text.trim().parse().map_err(|_| {
                ConfigError::new(
                    format!("{place}.{name}.{setting}"),
                    format!("the environment variable {from} must be a whole number"),
                )
            })?),
        };
        table.insert((*setting).into(), value);
    }
    tables.insert(name.into(), table.into());
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
