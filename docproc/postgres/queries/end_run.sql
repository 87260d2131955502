UPDATE docproc.runs SET finished_at = clock_timestamp(), exit_code = %(exit_code)s, summary = %(summary)s
 WHERE run_id = %(run_id)s
