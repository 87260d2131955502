-- The id is made by the caller, so that a second try after a lost answer is the same row. What the call may cost is
-- reserved with it; a run without a receipt has a budget of its own where one is wanted.
INSERT INTO docproc.api_calls (call_id, run_id, provider, operation, stage, attempt, model, job_ids, document_ids, shares,
                               unit, units_estimated, inputs, usd_per_unit, usd_per_credit, usd_estimated, usd_counted,
                               mock, budget_group)
VALUES (%(call_id)s, (SELECT run_id FROM docproc.runs WHERE run_id = %(run_id)s), %(provider)s, %(operation)s, %(stage)s,
        %(attempt)s, %(model)s, %(job_ids)s::uuid[], %(document_ids)s::uuid[], %(shares)s::bigint[], %(unit)s,
        %(units_estimated)s::bigint, %(inputs)s, %(usd_per_unit)s::numeric, %(usd_per_credit)s::numeric,
        %(units_estimated)s::bigint * %(usd_per_unit)s::numeric, %(units_reserved)s::bigint * %(usd_per_unit)s::numeric,
        (SELECT CASE %(unit)s::text WHEN 'page' THEN parser_kind ELSE embedder_kind END = 'mock' FROM docproc.installation),
        coalesce((SELECT coalesce(budget_group, run_id) FROM docproc.runs WHERE run_id = %(run_id)s),
                 CASE WHEN %(capped)s::boolean THEN %(run_id)s::uuid END))
ON CONFLICT (call_id) DO NOTHING
