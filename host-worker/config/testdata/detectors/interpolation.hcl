# expect 10:14 detector.a.interval: expressions are not supported
# expect 11:21 detector.a.target.node: expressions are not supported
# expect 12:17 detector.a.input.x: expressions are not supported
# expect 13:14 detector.a.input.y[1]: expressions are not supported
# expect 14:11 detector.a.input.z: more than two "$"
# expect 17:11 detector.a.http_check.url: only target and input of a detector are interpolated
# comment
detector "a" {
  workflow = "restart-service"
  interval = "${var.interval}"
  target { node   = "${upper(labels.node)}" }
  input = { x = "${labels[x]}",
    y = ["", "${~ value ~}"],
      z = "$$${value}",
  }
  http_check {
    url = "http://${labels.host}/"
  }
}
