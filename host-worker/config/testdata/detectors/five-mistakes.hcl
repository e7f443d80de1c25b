# expect 6:1 detector.silent: needs a source (permitted: http_check, prometheus, tcp_check, 
# expect 10:1 detector.both: has more than one source (permitted: http_check, prometheus, tcp_check, 
# expect 21:14 detector.nightly.interval: a detector with schedule has no interval
# expect 26:14 detector.typed.interval: expected a duration such as "90s", "15m" or "1h30m" (units ms s m h)
# expect 27:3 detector.typed.http_chek: unknown key; did you mean "http_check"?
detector "silent" {
  workflow = "restart-service"
  interval = "1s"
}
detector "both" {
  workflow = "restart-service"
  interval = "1s"
  http_check { url = "http://127.0.0.1/" }
  prometheus {
    url = "http://127.0.0.1:9090"
    query = "up == 0"
  }
}
detector "nightly" {
  workflow = "restart-service"
  interval = "1s"
  schedule { cron = "0 3 * * *" }
}
detector "typed" {
  workflow = "restart-service"
  interval = 15
  http_chek { url = "http://127.0.0.1/" }
}
