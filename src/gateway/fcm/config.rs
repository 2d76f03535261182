//! Settings as an operator writes them → an account that can sign.

use std::path::PathBuf;

use ring::signature::RsaKeyPair;
use serde::Deserialize;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use url::Url;

use crate::gateway::http;
use crate::gateway::push::jwt;
use crate::model::secret::Secret;

/// Its settings: a service account is needed, the rest has defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The service account's JSON file, as Google's console gives it out (`GOOGLE_APPLICATION_CREDENTIALS`).
    pub credentials_file: Option<PathBuf>,
    /// The Firebase project (`FCM_PROJECT_ID`); by default the service account's.
    pub project_id: Option<String>,
    /// Base URL of the API (`FCM_API_URL`); by default `https://fcm.googleapis.com/`.
    pub api_url: Option<String>,
    /// Refused: it belongs to the API that Google shut down in 2024.
    pub server_key: Option<Secret>,
}

const API_URL: &str = "https://fcm.googleapis.com/";

/// What messages are sent with.
pub(super) struct Config {
    pub(super) account: Account,
    /// Where messages are posted to.
    pub(super) send_url: Url,
}

/// A service account.
pub(super) struct Account {
    pub(super) email: String,
    pub(super) key: RsaKeyPair,
    /// Name of the key, by which Google finds its public half.
    pub(super) key_id: Option<String>,
    /// Where tokens are had.
    pub(super) token_url: Url,
}

/// The fields of a service account's file that count.
#[derive(Deserialize)]
struct File {
    #[serde(rename = "type")]
    kind: String,
    project_id: Option<String>,
    client_email: Option<String>,
    private_key: Option<Secret>,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

impl Config {
    /// Checks the settings and reads the account. Messages name the setting, and show nothing of a key.
    pub(super) fn new(settings: &Settings) -> Result<Self, String> {
        if settings.server_key.is_some() {
            return Err(
                "server_key (FCM_SERVER_KEY) belongs to the legacy API, which Google shut down in 2024; remove it, \
                 and give the JSON file of a service account as credentials_file (GOOGLE_APPLICATION_CREDENTIALS)"
                    .into(),
            );
        }
        let path = settings.credentials_file.as_ref().ok_or(
            "needs credentials_file (GOOGLE_APPLICATION_CREDENTIALS), the JSON file of a service account",
        )?;
        let (account, project) = read(&jwt::read_file("credentials_file", path)?)
            .map_err(|problem| format!("credentials_file {}: {problem}", path.display()))?;
        let project = settings.project_id.clone().or(project).ok_or(
            "needs project_id (FCM_PROJECT_ID), for the service account's file names no project",
        )?;
        let is_name = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-:.".contains(&b))
        };
        if project.is_empty() || !is_name(&project) || project.starts_with('.') {
            return Err("project_id must be of letters, digits and hyphens".into());
        }
        let api_url = http::base_url(settings.api_url.as_deref().unwrap_or(API_URL))?;
        let send_url = api_url
            .join(&format!("v1/projects/{project}/messages:send"))
            .map_err(|error| format!("api_url: {error}"))?;
        Ok(Self { account, send_url })
    }
}

fn read(text: &str) -> Result<(Account, Option<String>), String> {
    // Serde's own words could quote the file.
    let file: File = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is not the JSON of a service account (line {line}, column {column})")
    })?;
    if file.kind != "service_account" {
        return Err("must be of type service_account".into());
    }
    let missing = |name: &str| format!("has no {name}");
    let email = file.client_email.ok_or_else(|| missing("client_email"))?;
    let pem = file.private_key.ok_or_else(|| missing("private_key"))?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes())
        .ok()
        .and_then(|der| RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok())
        .ok_or("has a private_key that is no RSA key in PKCS #8 of 2048 bits or more")?;
    let token_url = file.token_uri.as_deref().unwrap_or(super::token::AUDIENCE);
    http::base_url(token_url)
        .map_err(|_| "has a token_uri that is neither https nor of this machine")?;
    let account = Account {
        email,
        key,
        key_id: file.private_key_id,
        token_url: token_url.parse().map_err(|_| "has a bad token_uri")?,
    };
    Ok((account, file.project_id))
}
