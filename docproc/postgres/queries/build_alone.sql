-- Workers share their memory in /dev/shm, which many containers keep small; one process alone does not need it.
SELECT set_config('max_parallel_maintenance_workers', '0', false)
