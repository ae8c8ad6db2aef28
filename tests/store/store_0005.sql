BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE annotations (
	experiment_id VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	repetition_number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	score DOUBLE, 
	label TEXT, 
	text TEXT, 
	annotator TEXT, 
	updated_at DOUBLE NOT NULL, 
	PRIMARY KEY (experiment_id, position, repetition_number, name), 
	FOREIGN KEY(experiment_id, position, repetition_number) REFERENCES experiment_runs (experiment_id, position, repetition_number) ON DELETE CASCADE
);
INSERT INTO "annotations" VALUES('exp-2bac7b56bf794211',0,1,'liked',NULL,'yes',NULL,NULL,1.76731584592390084261e+09);
CREATE TABLE dataset_versions (
	id VARCHAR(64) NOT NULL, 
	dataset_id VARCHAR(64) NOT NULL, 
	number INTEGER NOT NULL, 
	example_count INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	created_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (dataset_id, number), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE
);
INSERT INTO "dataset_versions" VALUES('dsv-3077521a8a194196','ds-a769f435da4044b8',1,3,'98e3407b31278684b815af7c1e6cf4b5e5eea48849bafd2fa16d621c6ed1379c',1.79580194644779872893e+09);
CREATE TABLE datasets (
	id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT, 
	metadata TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "datasets" VALUES('ds-a769f435da4044b8','dataset',NULL,'{}',1.79580194644661259644e+09);
CREATE TABLE evaluations (
	experiment_id VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	repetition_number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	evaluator TEXT NOT NULL, 
	annotator_kind VARCHAR(8) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	score DOUBLE, 
	label TEXT, 
	explanation TEXT, 
	metadata TEXT, 
	error TEXT, 
	start_time DOUBLE NOT NULL, 
	end_time DOUBLE NOT NULL, 
	trace_id VARCHAR(32), 
	PRIMARY KEY (experiment_id, position, repetition_number, name), 
	FOREIGN KEY(experiment_id, position, repetition_number) REFERENCES experiment_runs (experiment_id, position, repetition_number) ON DELETE CASCADE
);
INSERT INTO "evaluations" VALUES('exp-dff2ae1853d0462a',0,1,'exact','exact','CODE','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1.0,NULL,NULL,NULL,NULL,1800000000.0,1800000000.5,NULL);
INSERT INTO "evaluations" VALUES('exp-dff2ae1853d0462a',1,1,'exact','exact','CODE','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',3.00000000000000044408e-01,'so so','  because
	of this ',NULL,NULL,1800000000.0,1800000000.5,NULL);
INSERT INTO "evaluations" VALUES('exp-dff2ae1853d0462a',0,1,'tone','tone','LLM','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL,'kind',NULL,'{"z":1.0,"a":[1]}',NULL,1800000000.0,1800000000.5,NULL);
INSERT INTO "evaluations" VALUES('exp-dff2ae1853d0462a',1,1,'tone','tone','LLM','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL,NULL,NULL,NULL,'TimeoutError: no',1800000000.0,1800000000.5,NULL);
INSERT INTO "evaluations" VALUES('exp-2bac7b56bf794211',0,1,'exact','exact','CODE','',0.5,NULL,NULL,NULL,NULL,1.76731584592390084261e+09,1.76731584592390084261e+09,NULL);
CREATE TABLE examples (
	dataset_id VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	since INTEGER NOT NULL, 
	until INTEGER, 
	example_id TEXT NOT NULL, 
	input TEXT NOT NULL, 
	output TEXT, 
	metadata TEXT NOT NULL, 
	splits TEXT NOT NULL, 
	span_id VARCHAR(32), 
	PRIMARY KEY (dataset_id, position, since), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE
);
INSERT INTO "examples" VALUES('ds-a769f435da4044b8',0,1,NULL,'ex-0','{"question":"question 0"}','{"answer":0}','{"topic":"even"}','["test"]',NULL);
INSERT INTO "examples" VALUES('ds-a769f435da4044b8',1,1,NULL,'ex-1','{"question":"question 1"}','{"answer":1}','{"topic":"odd"}','["train"]',NULL);
INSERT INTO "examples" VALUES('ds-a769f435da4044b8',2,1,NULL,'ex-2','{"question":"question 2"}','{"answer":2}','{"topic":"even"}','["train"]',NULL);
CREATE TABLE experiment_evaluators (
	experiment_id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	reference TEXT, 
	PRIMARY KEY (experiment_id, name), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
);
INSERT INTO "experiment_evaluators" VALUES('exp-dff2ae1853d0462a','exact',0,'CODE','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','app:exact');
INSERT INTO "experiment_evaluators" VALUES('exp-dff2ae1853d0462a','tone',1,'LLM','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',NULL);
INSERT INTO "experiment_evaluators" VALUES('exp-2bac7b56bf794211','exact',0,'CODE','',NULL);
CREATE TABLE experiment_runs (
	experiment_id VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	repetition_number INTEGER NOT NULL, 
	example_id TEXT NOT NULL, 
	output TEXT, 
	error TEXT, 
	start_time DOUBLE NOT NULL, 
	end_time DOUBLE NOT NULL, 
	attempts INTEGER NOT NULL, 
	token_count INTEGER, 
	total_cost DOUBLE, 
	trace_id VARCHAR(32), 
	metadata TEXT, 
	PRIMARY KEY (experiment_id, position, repetition_number), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
);
INSERT INTO "experiment_runs" VALUES('exp-dff2ae1853d0462a',0,1,'ex-0','{"said":0}',NULL,1800000000.1,1.80000000034499979019e+09,1,12,3.00000000000000044408e-01,'11111111111111111111111111111111',NULL);
INSERT INTO "experiment_runs" VALUES('exp-dff2ae1853d0462a',1,1,'ex-1','{"said":1}',NULL,1.80000000033333325388e+09,1.80000000033433318145e+09,1,NULL,NULL,NULL,NULL);
INSERT INTO "experiment_runs" VALUES('exp-dff2ae1853d0462a',2,1,'ex-2',NULL,'ValueError: no',1800000002.0,1800000002.25,1,NULL,NULL,NULL,NULL);
INSERT INTO "experiment_runs" VALUES('exp-2bac7b56bf794211',0,1,'ex-0','"a"',NULL,1.76731584567890095708e+09,1.76731584592390084261e+09,1,7,NULL,NULL,NULL);
INSERT INTO "experiment_runs" VALUES('exp-2bac7b56bf794211',1,1,'ex-1','{"n":1.0}',NULL,1.79580194661331176753e+09,1.79580194667061185829e+09,1,NULL,NULL,NULL,NULL);
INSERT INTO "experiment_runs" VALUES('exp-2bac7b56bf794211',2,1,'ex-2','null',NULL,1.79580194667061185829e+09,1.79580194667061185829e+09,1,NULL,NULL,NULL,NULL);
CREATE TABLE experiment_tags (
	dataset_id VARCHAR(64) NOT NULL, 
	tag TEXT NOT NULL, 
	experiment_id VARCHAR(64) NOT NULL, 
	PRIMARY KEY (dataset_id, tag), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE, 
	FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
);
INSERT INTO "experiment_tags" VALUES('ds-a769f435da4044b8','baseline','exp-dff2ae1853d0462a');
CREATE TABLE experiments (
	id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT, 
	metadata TEXT NOT NULL, 
	dataset_id VARCHAR(64) NOT NULL, 
	dataset_version_id VARCHAR(64) NOT NULL, 
	splits TEXT NOT NULL, 
	positions TEXT, 
	example_count INTEGER NOT NULL, 
	repetitions INTEGER NOT NULL, 
	task TEXT NOT NULL, 
	task_fingerprint VARCHAR(64), 
	task_reference TEXT, 
	project_name TEXT, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	logged VARCHAR(64), 
	PRIMARY KEY (id), 
	FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE, 
	FOREIGN KEY(dataset_version_id) REFERENCES dataset_versions (id)
);
INSERT INTO "experiments" VALUES('exp-dff2ae1853d0462a','ran',NULL,'{}','ds-a769f435da4044b8','dsv-3077521a8a194196','[]',NULL,3,1,'answer','ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','app:answer',NULL,1.79580194645229625702e+09,1.79580194648464107516e+09,NULL);
INSERT INTO "experiments" VALUES('exp-2bac7b56bf794211','logged',NULL,'{}','ds-a769f435da4044b8','dsv-3077521a8a194196','[]',NULL,3,1,'(logged)',NULL,NULL,NULL,1.7958019466759803295e+09,1.7958019466759803295e+09,'4f3a4000b36cc4880ca7191a1708d4205a3bd8af4976620a7857b1790c596150');
CREATE TABLE linked_experiments (
	id VARCHAR(64) NOT NULL, 
	experiment_id VARCHAR(64) NOT NULL, 
	target VARCHAR(255) NOT NULL, 
	remote_id VARCHAR(255) NOT NULL, 
	remote_dataset_id TEXT NOT NULL, 
	remote_version_id TEXT NOT NULL, 
	project_name TEXT, 
	url TEXT, 
	linked_at DOUBLE NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (experiment_id, target), 
	UNIQUE (target, remote_id), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
);
INSERT INTO "linked_experiments" VALUES('link-918fca01d7bc4588','exp-dff2ae1853d0462a','phoenix http://localhost:6006','RXhwOjE=','D','V','p',NULL,1.79580194672162079812e+09);
CREATE TABLE linked_versions (
	target VARCHAR(255) NOT NULL, 
	remote_version_id VARCHAR(255) NOT NULL, 
	remote_dataset_id TEXT NOT NULL, 
	dataset_version_id VARCHAR(64) NOT NULL, 
	linked_at DOUBLE NOT NULL, 
	remote_made_at DOUBLE, 
	PRIMARY KEY (target, remote_version_id), 
	FOREIGN KEY(dataset_version_id) REFERENCES dataset_versions (id) ON DELETE CASCADE
);
CREATE TABLE push_holds (
	link_id VARCHAR(64) NOT NULL, 
	owner TEXT NOT NULL, 
	until DOUBLE NOT NULL, 
	PRIMARY KEY (link_id), 
	FOREIGN KEY(link_id) REFERENCES linked_experiments (id) ON DELETE CASCADE
);
CREATE TABLE pushed_evaluations (
	link_id VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	repetition_number INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	stamp DOUBLE NOT NULL, 
	refused TEXT, 
	PRIMARY KEY (link_id, position, repetition_number, name), 
	FOREIGN KEY(link_id) REFERENCES linked_experiments (id) ON DELETE CASCADE
);
CREATE TABLE pushed_runs (
	link_id VARCHAR(64) NOT NULL, 
	position INTEGER NOT NULL, 
	repetition_number INTEGER NOT NULL, 
	remote_id TEXT, 
	stamp DOUBLE NOT NULL, 
	refused TEXT, 
	PRIMARY KEY (link_id, position, repetition_number), 
	FOREIGN KEY(link_id) REFERENCES linked_experiments (id) ON DELETE CASCADE
);
INSERT INTO "pushed_runs" VALUES('link-918fca01d7bc4588',0,1,'r0',1.80000000034499979019e+09,NULL);
INSERT INTO "pushed_runs" VALUES('link-918fca01d7bc4588',1,1,'r1',1.80000000033433318145e+09,NULL);
INSERT INTO "pushed_runs" VALUES('link-918fca01d7bc4588',2,1,'r2',1800000002.25,NULL);
CREATE INDEX ix_experiments_name ON experiments (name);
CREATE INDEX ix_experiments_dataset ON experiments (dataset_id, created_at);
CREATE INDEX ix_linked_versions_version ON linked_versions (dataset_version_id);
CREATE INDEX ix_experiment_tags_experiment ON experiment_tags (experiment_id);
COMMIT;
