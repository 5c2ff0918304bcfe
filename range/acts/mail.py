"""Sending mail: smtplib with STARTTLS, with and without login, and curl."""

import smtplib
import ssl
import tempfile

import tls


def mail(me) -> None:
    """Hand one message to the mail server."""
    server = me.others("smtp")[0]
    version, port = me.version(server), me.rng.choice((25, 587))
    with me.hold("tcp", server, version, port, "mail"):
        if me.rng.random() < 0.5:
            by_curl(me, server, version, port)
        else:
            by_smtplib(me, server, version, port)


def body(me) -> str:
    return "Subject: report\r\n\r\n" + "\r\n".join(
        me.rng.randbytes(35).hex() for _ in range(me.rng.randint(5, 140))
    )


def by_curl(me, server, version: int, port: int) -> None:
    with tempfile.NamedTemporaryFile("w") as letter:
        letter.write(body(me))
        letter.flush()
        secure = ["--ssl-reqd"] if me.rng.random() < 0.6 else []
        me.run(
            tls.curl(
                me,
                version,
                *secure,
                "--mail-from",
                "a@example.org",
                "--mail-rcpt",
                "b@corp.example",
                "-T",
                letter.name,
                f"smtp://{me.world.fqdn(server)}:{port}",
            )
        )


def by_smtplib(me, server, version: int, port: int) -> None:
    try:
        with smtplib.SMTP(me.address(server, version), port, "client.example.org", 30) as session:
            session.starttls(context=unverified())
            if me.rng.random() < 0.5:
                session.login(me.world.settings["user"], me.world.settings["password"])
            session.sendmail("a@example.org", ["b@example.org"], body(me))
    except smtplib.SMTPException:
        pass


def unverified() -> ssl.SSLContext:
    """Mail clients often accept whatever certificate a relay shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


ACTS = [mail]
