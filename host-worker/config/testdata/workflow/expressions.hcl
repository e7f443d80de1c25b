# expect 8:21 task_queue_target: expressions are not supported
# expect 9:21 workflow_type: expressions are not supported
# expect 10:21 timeout: expressions are not supported
# expect 11:21 valid_for: expressions are not supported
# expect 12:21 workflow_queue: expressions are not supported
# expect 15:14 constraint[0].value: expressions are not supported
# expect 16:14 constraint[0].period: expressions are not supported
task_queue_target = node
workflow_type     = "${labels.type}"
timeout           = format("%dm", 5)
valid_for         = "%{ if true }1m%{ endif }"
workflow_queue    = true ? "target" : "datacenter"
constraint {
  kind     = "concurrency"
  value    = 1 + 1
  period   = ("15m")
}
