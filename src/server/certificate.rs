//! The certificate that the server shows, read again when its files change: whoever renews it every few weeks must not
//! have to restart what sends messages.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::tls;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// What is known of a file without reading it; absent when it is not there.
type Stamp = Option<(SystemTime, u64)>;

/// A certificate and its key, in use.
pub(super) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    /// Of the files as they were read, or refused.
    stamps: [Stamp; 2],
}

impl Certificate {
    /// Reads both files, PEM.
    ///
    /// # Errors
    ///
    /// One cannot be used; it says which.
    pub(super) fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, String> {
        let stamps = [stamp(&certificate), stamp(&key)];
        let config = tls::server(&certificate, &key)?;
        let state = Mutex::new(State { config, stamps });
        Ok(Self {
            certificate,
            key,
            state,
        })
    }

    /// What shakes hands with the next client.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&state.config))
    }

    /// Reads the files again if they are others, or anyway when `is_asked`. While they cannot be used, such as when
    /// one of the two is written and the other is not yet, what was read before stays in use.
    fn refresh(&self, is_asked: bool) {
        let stamps = [stamp(&self.certificate), stamp(&self.key)];
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if stamps == state.stamps && !is_asked {
            return;
        }
        state.stamps = stamps; // what is refused is said once
        match tls::server(&self.certificate, &self.key) {
            Ok(config) => {
                state.config = config;
                let file = self.certificate.display();
                info!("the certificate was read again from {file}");
            }
            Err(problem) => {
                error!("{problem}; the certificate that was read before stays in use");
            }
        }
    }

    /// Looks at the files once a minute, and at SIGHUP, until `shutdown`.
    pub(super) async fn watch(&self, shutdown: &CancellationToken) {
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| error!(%error, "SIGHUP cannot be listened to"))
            .ok();
        let mut looks = interval_at(Instant::now() + LOOK, LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => self.refresh(false),
                () = next(&mut hangup) => self.refresh(true),
                () = shutdown.cancelled() => return,
            }
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    let came = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    if came.is_none() {
        std::future::pending::<()>().await;
    }
}

fn stamp(file: &Path) -> Stamp {
    let found = std::fs::metadata(file).ok()?;
    Some((found.modified().ok()?, found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
    use std::fs;

    fn made() -> CertifiedKey<KeyPair> {
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate")
    }

    /// Whether a client that trusts this certificate alone shakes hands with the server.
    async fn is_shown(server: &Certificate, made: &CertifiedKey<KeyPair>, folder: &Path) -> bool {
        let trusted = folder.join("trusted.pem");
        fs::write(&trusted, made.cert.pem()).expect("a file");
        let client = tls::client(true, Some(&trusted)).expect("a client");
        let (near, far) = tokio::io::duplex(64 * 1024);
        let connector = tokio_rustls::TlsConnector::from(client);
        let name = "localhost".try_into().expect("a name");
        let (accepted, connected) =
            tokio::join!(server.acceptor().accept(far), connector.connect(name, near));
        accepted.is_ok() && connected.is_ok()
    }

    /// A renewal writes one file after the other, and may write nonsense: clients must meet a pair that works at each moment.
    #[tokio::test]
    async fn changed_files_are_taken_once_they_are_a_pair_that_works() {
        let folder = std::env::temp_dir().join(format!("postroad-{}", uuid::Uuid::now_v7()));
        fs::create_dir(&folder).expect("a folder");
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        let (old, new) = (made(), made());
        fs::write(&certificate, old.cert.pem()).expect("a file");
        fs::write(&key, old.signing_key.serialize_pem()).expect("a file");
        let server = Certificate::read(certificate.clone(), key.clone()).expect("a pair");
        assert!(is_shown(&server, &old, &folder).await);
        assert!(!is_shown(&server, &new, &folder).await);

        let touched = fs::metadata(&key).and_then(|found| found.modified());
        let later = touched.expect("a time") + Duration::from_secs(5);
        let write = |path: &Path, text: &str| {
            fs::write(path, text).expect("a file");
            let file = fs::File::options().write(true).open(path).expect("a file");
            file.set_modified(later).expect("a time"); // whatever the resolution of the file system
        };
        write(&certificate, &new.cert.pem());
        server.refresh(false);
        assert!(is_shown(&server, &old, &folder).await, "half of a renewal");
        write(&key, &new.signing_key.serialize_pem());
        server.refresh(false);
        assert!(is_shown(&server, &new, &folder).await);
        assert!(!is_shown(&server, &old, &folder).await);

        fs::remove_file(&key).expect("it was there");
        server.refresh(false);
        assert!(is_shown(&server, &new, &folder).await, "no key");
        fs::remove_dir_all(&folder).expect("it was there");
    }
}
