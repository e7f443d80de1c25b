# expect 4:12 syntax: Unclosed configuration block; There is no closing brace for this block before the end of the file.
task_queue_target = "node"

constraint {
  kind = "concurrency"
  value = 1
constraint {
  kind = "maxExecution"
}
nonsense = true
