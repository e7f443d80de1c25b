# expect 7:3 detector.a.target: must be a block: target { … }
# expect 8:3 detector.a.input: must be an attribute: input = …
# expect 9:3 detector.a.http_check: must be a block: http_check { … }
detector "a" {
  workflow = "restart-service"
  interval = "1s"
  target     = { node = "web-1" }
  input { command = "restart" }
  http_check = { url = "http://127.0.0.1/" }
}
