-- At version 0 there is no way forth that could want it.
DROP TABLE IF EXISTS docproc.money_put_aside
