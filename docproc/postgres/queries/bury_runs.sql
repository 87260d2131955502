UPDATE docproc.runs SET finished_at = clock_timestamp(), summary = summary || '{"ended": "killed"}'
 WHERE run_id = ANY (%(run_ids)s::uuid[]) AND finished_at IS NULL
