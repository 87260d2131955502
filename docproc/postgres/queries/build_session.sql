SELECT pg_backend_pid() AS pid, setting::bigint AS memory_kb FROM pg_settings WHERE name = 'maintenance_work_mem'
