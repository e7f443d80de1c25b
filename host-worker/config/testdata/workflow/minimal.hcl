task_queue_target = "node_type:database"
