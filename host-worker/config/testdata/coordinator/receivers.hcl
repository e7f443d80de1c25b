# expect 10:1 receiver.nobody: tells nobody: it needs a block that says how (permitted: webhook, alertmanager)
# expect 12:1 receiver.both: has more than one block (permitted: webhook, alertmanager)
# expect 17:19 receiver.mail.webhook.url: expected an http:// or https:// URL
# expect 20:3 receiver.bare.webhook.url: is required
# expect 23:26 receiver.user.alertmanager.url: must not hold a user or password
# expect 29:19 receiver.secrets.webhook.secret_file: secret_env and secret_file exclude each other
# expect 33:3 receiver.typo.webhok: unknown key; did you mean "webhook"? (permitted: webhook, alertmanager)
# expect 35:10 receiver["On Call"]: not a name
datacenter = "dc1"
receiver "nobody" {
}
receiver "both" {
  webhook { url = "https://a.example" }
  alertmanager { url = "http://b.example" }
}
receiver "mail" {
  webhook { url = "mailto:ops@example.org" }
}
receiver "bare" {
  webhook { secret_env = "SECRET" }
}
receiver "user" {
  alertmanager { url  =  "http://ops:secret@10.0.0.1:9093" }
}
receiver "secrets" {
  webhook {
    url         = "https://a.example"
    secret_env  = "SECRET"
    secret_file = "/etc/resile/secret"
  }
}
receiver "typo" {
  webhok { url = "https://a.example" }
}
receiver "On Call" {
  webhook { url = "https://a.example" }
}
