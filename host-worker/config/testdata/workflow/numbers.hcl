# expect 8:37 input.a.default.c: the number is too large
# expect 11:11 constraint[0].value: the number is too large
# expect 15:11 constraint[1].value: expected a whole number of 0 or more
# expect 19:11 constraint[2].value: expected a whole number of 0 or more
task_queue_target = "node"
input "a" {
  type    = "object"
  default = { b = [1, -2.5e-3], c = 1e400 }
}
constraint {
  value = 9007199254740993
  kind  = "concurrency"
}
constraint {
  value = -1
  kind  = "concurrency"
}
constraint {
  value = 1.5
  kind  = "concurrency"
}
