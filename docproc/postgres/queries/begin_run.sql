INSERT INTO docproc.runs (run_id, command, profile, worker) VALUES (%(run_id)s, %(command)s, %(profile)s, %(owner)s)
ON CONFLICT (run_id) DO NOTHING
