//! kamailio as the carrier's proxy and registrar: digest on REGISTER, lookup, record-routing.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::process::Process;
use super::{TempDir, free_port};

pub struct Kamailio {
    pub port: u16,
    pub process: Process,
    _dir: TempDir,
}

impl Kamailio {
    /// A registrar and proxy for any user with the password `secret`. `algorithm` is `MD5` or `SHA-256`.
    pub fn start(algorithm: &str) -> Kamailio {
        let dir = TempDir::new("kamailio");
        let port = free_port();
        let modules = [
            "tm",
            "sl",
            "rr",
            "pv",
            "maxfwd",
            "usrloc",
            "registrar",
            "auth",
            "xlog",
            "textops",
            "siputils",
        ];
        let modules: String = modules.iter().map(|m| format!("loadmodule \"{m}.so\"\n")).collect();
        let config = format!(
            r#"debug=1
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/aarch64-linux-gnu/kamailio/modules/"
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{modules}
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "qop", "auth")
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 60)
modparam("rr", "enable_full_lr", 1)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("127.0.0.1", "secret", "0")) {{
            www_challenge("127.0.0.1", "1");
            exit;
        }}
        save("location");
        xlog("L_ERR", "REGISTERED $tU $ct\n");
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        sl_send_reply("404", "Not Here");
        exit;
    }}
    record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
"#
        );
        fs::write(dir.join("kamailio.cfg"), config).unwrap();
        let mut command = Command::new("kamailio");
        // -DD: one process group in the foreground, that ends with its parent.
        command.args(["-DD", "-E", "-m", "16", "-M", "4", "-n", "1", "-f"]);
        command.arg(dir.join("kamailio.cfg")).arg("-Y").arg(dir.path());
        command.arg("-P").arg(dir.join("pid")).current_dir(dir.path());
        let process = Process::start("kamailio", &mut command);
        let kamailio = Kamailio { port, process, _dir: dir };
        kamailio.wait_until_it_answers();
        kamailio
    }

    fn wait_until_it_answers(&self) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let own = socket.local_addr().unwrap();
        let options = format!(
            "OPTIONS sip:127.0.0.1:{0} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKup\r\n\
             From: <sip:up@{own}>;tag=1\r\nTo: <sip:127.0.0.1:{0}>\r\nCall-ID: up\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
            self.port
        );
        let mut buffer = [0; 2048];
        for _ in 0..100 {
            let _ = socket.send_to(options.as_bytes(), ("127.0.0.1", self.port));
            if socket.recv_from(&mut buffer).is_ok() {
                return;
            }
        }
        panic!("kamailio does not answer; it said:\n{}", self.process.output());
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // Its main process ends its children; killed, it would leave them.
        self.process.end(Duration::from_secs(5));
    }
}
