-- Runs that go on at the same time share one budget: that of the earliest that is still open.
INSERT INTO docproc.runs (run_id, command, profile, worker, budget_group)
VALUES (%(run_id)s, %(command)s, %(profile)s, %(owner)s,
        coalesce((SELECT coalesce(r.budget_group, r.run_id) FROM docproc.runs r
                   WHERE r.finished_at IS NULL ORDER BY r.started_at, r.run_id LIMIT 1), %(run_id)s))
ON CONFLICT (run_id) DO NOTHING
