//! One HTTP exchange at a time: no redirect is followed and no status is an error, so that the caller sees every
//! response and decides which host may see its token. TLS is rustls; connections are kept and reused.

use std::io::Read;
use std::time::Duration;
use ureq::tls::{parse_pem, PemItem, RootCerts, TlsConfig};

/// A name that does not resolve, a host that does not answer, a body that stands still: errors after this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
const BLOCK_BYTES: usize = 256 << 10;

pub struct Client {
    agent: ureq::Agent,
}

pub enum Failure {
    /// No whole response came; may be worth another try.
    Message(String),
    /// A callback asked to stop.
    Stopped,
}

impl Client {
    /// `authorities`: PEM certificates to trust; empty: Mozilla's list as it was compiled in. A proxy is taken from
    /// ALL_PROXY, HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY excepts the host.
    pub fn new(user_agent: &str, authorities: &[u8]) -> Result<Self, String> {
        let mut tls = TlsConfig::builder();
        if !authorities.is_empty() {
            let mut certificates = Vec::new();
            for item in parse_pem(authorities) {
                if let PemItem::Certificate(certificate) = item.map_err(|e| e.to_string())? {
                    certificates.push(certificate);
                }
            }
            if certificates.is_empty() {
                return Err("holds no certificate".into());
            }
            tls = tls.root_certs(RootCerts::from(certificates));
        }
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(user_agent)
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .timeout_per_write(Some(SILENCE_TIMEOUT))
            .tls_config(tls.build())
            .build();
        Ok(Self { agent: config.new_agent() })
    }

    /// Sends HEAD or GET; `headers` is "name: value" lines. `on_head` gets the status and the response's headers, in
    /// the same form with lower-case names; `on_body` the body as it comes. Either returns false to stop.
    pub fn fetch(
        &self,
        head: bool,
        url: &str,
        headers: &str,
        mut on_head: impl FnMut(u16, &str) -> bool,
        mut on_body: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Failure> {
        let failed = |e: &dyn std::fmt::Display| Failure::Message(e.to_string());
        let mut request = if head { self.agent.head(url) } else { self.agent.get(url) };
        for line in headers.lines() {
            let (name, value) = line.split_once(": ").ok_or_else(|| failed(&"a header without a value"))?;
            request = request.header(name, value);
        }
        let mut response = request.call().map_err(|e| failed(&e))?;
        let mut lines = String::new();
        for (name, value) in response.headers() {
            if let Ok(value) = value.to_str() {
                lines.push_str(&format!("{name}: {value}\n"));
            }
        }
        if !on_head(response.status().as_u16(), &lines) {
            return Err(Failure::Stopped);
        }
        let mut body = response.body_mut().as_reader();
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let read = body.read(&mut block).map_err(|e| failed(&e))?;
            if read == 0 {
                return Ok(());
            }
            if !on_body(&block[..read]) {
                return Err(Failure::Stopped);
            }
        }
    }
}
