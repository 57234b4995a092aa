internal import Postgres

enum RunsQueries {
  private static let createRunStatement = Statement(
    "tracking.createRun",
    """
    insert into runs (
        organization_id, id, experiment_id, project_id, name, description, status, started_at,
        created_by, created_at, updated_at
    )
    values (
        $1,
        $2,
        $3,
        coalesce(
            (
                select experiment.project_id
                from experiments as experiment
                where
                    experiment.organization_id = $1
                    and experiment.id = $3
                    and experiment.deleted_at is null
                    and (
                        $4::boolean
                        or exists (
                            select from visible_projects as visible
                            where
                                visible.organization_id = experiment.organization_id
                                and visible.project_id = experiment.project_id
                                and visible.user_id = $5
                        )
                    )
            ),
            needletail_refuse('EXPERIMENT_NOT_FOUND', null, null::uuid)
        ),
        $6,
        $7,
        $8,
        $9,
        $5,
        $10,
        $10
    )
    returning project_id
    """, parameters: [2950, 2950, 2950, 16, 2950, 25, 25, 25, 1184, 1184], columns: [2950])
  static func createRun(organizationID: UUID, id: UUID, experimentID: UUID, seesAllProjects: Bool, userID: UUID, name: String, description: String, status: String, startedAt: Int64?, createdAt: Int64) -> Query<UUID> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(uuid: experimentID)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    parameters.append(text: name)
    parameters.append(text: description)
    parameters.append(text: status)
    parameters.append(timestamp: startedAt)
    parameters.append(timestamp: createdAt)
    return Query(createRunStatement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in try row.uuid(0) }
    }
  }

  struct GetRunRow: Sendable, Equatable {
    var id: UUID
    var experimentID: UUID
    var projectID: UUID
    var name: String
    var description: String
    var status: String
    var startedAt: Int64?
    var completedAt: Int64?
    var durationMs: Int64?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let getRunStatement = Statement(
    "tracking.getRun",
    """
    select
        run.id,
        run.experiment_id,
        run.project_id,
        run.name,
        run.description,
        run.status,
        run.started_at,
        run.completed_at,
        run.duration_ms,
        run.created_by,
        run.created_at,
        run.updated_at,
        run.revision
    from runs as run
    where
        run.organization_id = $1
        and run.id = $2
        and run.deleted_at is null
        and (
            $3::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = run.organization_id
                    and visible.project_id = run.project_id
                    and visible.user_id = $4
            )
        )
    """, parameters: [2950, 2950, 16, 2950], columns: [2950, 2950, 2950, 25, 25, 25, 1184, 1184, 20, 2950, 1184, 1184, 20])
  static func getRun(organizationID: UUID, id: UUID, seesAllProjects: Bool, userID: UUID) -> Query<GetRunRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    return Query(getRunStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in GetRunRow(id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2), name: try row.text(3), description: try row.text(4), status: try row.text(5), startedAt: try row.timestampOrNil(6), completedAt: try row.timestampOrNil(7), durationMs: try row.int8OrNil(8), createdBy: try row.uuid(9), createdAt: try row.timestamp(10), updatedAt: try row.timestamp(11), revision: try row.int8(12)) }
    }
  }

  struct LockRunRow: Sendable, Equatable {
    var id: UUID
    var experimentID: UUID
    var projectID: UUID
    var name: String
    var description: String
    var status: String
    var startedAt: Int64?
    var completedAt: Int64?
    var durationMs: Int64?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let lockRunStatement = Statement(
    "tracking.lockRun",
    """
    select
        run.id,
        run.experiment_id,
        run.project_id,
        run.name,
        run.description,
        run.status,
        run.started_at,
        run.completed_at,
        run.duration_ms,
        run.created_by,
        run.created_at,
        run.updated_at,
        run.revision
    from runs as run
    where
        run.organization_id = $1
        and run.id = $2
        and run.deleted_at is null
        and (
            $3::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = run.organization_id
                    and visible.project_id = run.project_id
                    and visible.user_id = $4
            )
        )
    for no key update of run
    """, parameters: [2950, 2950, 16, 2950], columns: [2950, 2950, 2950, 25, 25, 25, 1184, 1184, 20, 2950, 1184, 1184, 20])
  static func lockRun(organizationID: UUID, id: UUID, seesAllProjects: Bool, userID: UUID) -> Query<LockRunRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    return Query(lockRunStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in LockRunRow(id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2), name: try row.text(3), description: try row.text(4), status: try row.text(5), startedAt: try row.timestampOrNil(6), completedAt: try row.timestampOrNil(7), durationMs: try row.int8OrNil(8), createdBy: try row.uuid(9), createdAt: try row.timestamp(10), updatedAt: try row.timestamp(11), revision: try row.int8(12)) }
    }
  }

  private static let updateRunStatement = Statement(
    "tracking.updateRun",
    """
    update runs
    set
        name = coalesce($1, name),
        description = coalesce($2, description),
        status = coalesce($3, status),
        started_at = coalesce($4, started_at),
        updated_at = $5
    where organization_id = $6 and id = $7
    """, parameters: [25, 25, 25, 1184, 1184, 2950, 2950], columns: [])
  static func updateRun(name: String?, description: String?, status: String?, startedAt: Int64?, updatedAt: Int64, organizationID: UUID, id: UUID) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(text: name)
    parameters.append(text: description)
    parameters.append(text: status)
    parameters.append(timestamp: startedAt)
    parameters.append(timestamp: updatedAt)
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    return Query(updateRunStatement, parameters)
  }

  private static let finishRunStatement = Statement(
    "tracking.finishRun",
    """
    update runs
    set
        status
        = case
            when status in ('scheduled', 'running') then $1
            else needletail_refuse('RUN_FINISHED', null, status)
        end,
        started_at
        = case when $1 = 'cancelled' then started_at else coalesce(started_at, $2) end,
        completed_at = $2,
        updated_at = $3
    where organization_id = $4 and id = $5
    """, parameters: [25, 1184, 1184, 2950, 2950], columns: [])
  static func finishRun(status: String, completedAt: Int64, updatedAt: Int64, organizationID: UUID, id: UUID) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(text: status)
    parameters.append(timestamp: completedAt)
    parameters.append(timestamp: updatedAt)
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    return Query(finishRunStatement, parameters)
  }

  struct ListRunsRow: Sendable, Equatable {
    var id: UUID
    var experimentID: UUID
    var projectID: UUID
    var name: String
    var description: String
    var status: String
    var startedAt: Int64?
    var completedAt: Int64?
    var durationMs: Int64?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let listRunsStatement = Statement(
    "tracking.listRuns",
    """
    select
        run.id,
        run.experiment_id,
        run.project_id,
        run.name,
        run.description,
        run.status,
        run.started_at,
        run.completed_at,
        run.duration_ms,
        run.created_by,
        run.created_at,
        run.updated_at,
        run.revision
    from runs as run
    where
        run.organization_id = $1
        and run.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        and run.deleted_at is null
        and (
            $3::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = run.organization_id
                    and visible.project_id = run.project_id
                    and visible.user_id = $4
            )
        )
    order by run.id desc
    limit $5::bigint
    """, parameters: [2950, 2950, 16, 2950, 20], columns: [2950, 2950, 2950, 25, 25, 25, 1184, 1184, 20, 2950, 1184, 1184, 20])
  static func listRuns(organizationID: UUID, beforeID: UUID?, seesAllProjects: Bool, userID: UUID, pageSize: Int64) -> Query<[ListRunsRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: beforeID)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    parameters.append(int8: pageSize)
    return Query(listRunsStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListRunsRow(id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2), name: try row.text(3), description: try row.text(4), status: try row.text(5), startedAt: try row.timestampOrNil(6), completedAt: try row.timestampOrNil(7), durationMs: try row.int8OrNil(8), createdBy: try row.uuid(9), createdAt: try row.timestamp(10), updatedAt: try row.timestamp(11), revision: try row.int8(12)) }
    }
  }

  struct ListRunsByStatusRow: Sendable, Equatable {
    var id: UUID
    var experimentID: UUID
    var projectID: UUID
    var name: String
    var description: String
    var status: String
    var startedAt: Int64?
    var completedAt: Int64?
    var durationMs: Int64?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let listRunsByStatusStatement = Statement(
    "tracking.listRunsByStatus",
    """
    select
        run.id,
        run.experiment_id,
        run.project_id,
        run.name,
        run.description,
        run.status,
        run.started_at,
        run.completed_at,
        run.duration_ms,
        run.created_by,
        run.created_at,
        run.updated_at,
        run.revision
    from runs as run
    where
        run.organization_id = $1
        and run.status = $2
        and run.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        and run.deleted_at is null
        and (
            $4::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = run.organization_id
                    and visible.project_id = run.project_id
                    and visible.user_id = $5
            )
        )
    order by run.id desc
    limit $6::bigint
    """, parameters: [2950, 25, 2950, 16, 2950, 20], columns: [2950, 2950, 2950, 25, 25, 25, 1184, 1184, 20, 2950, 1184, 1184, 20])
  static func listRunsByStatus(organizationID: UUID, status: String, beforeID: UUID?, seesAllProjects: Bool, userID: UUID, pageSize: Int64) -> Query<[ListRunsByStatusRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(text: status)
    parameters.append(uuid: beforeID)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    parameters.append(int8: pageSize)
    return Query(listRunsByStatusStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListRunsByStatusRow(id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2), name: try row.text(3), description: try row.text(4), status: try row.text(5), startedAt: try row.timestampOrNil(6), completedAt: try row.timestampOrNil(7), durationMs: try row.int8OrNil(8), createdBy: try row.uuid(9), createdAt: try row.timestamp(10), updatedAt: try row.timestamp(11), revision: try row.int8(12)) }
    }
  }

  struct ListProjectRunsRow: Sendable, Equatable {
    var id: UUID
    var experimentID: UUID
    var projectID: UUID
    var name: String
    var description: String
    var status: String
    var startedAt: Int64?
    var completedAt: Int64?
    var durationMs: Int64?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let listProjectRunsStatement = Statement(
    "tracking.listProjectRuns",
    """
    select
        run.id,
        run.experiment_id,
        run.project_id,
        run.name,
        run.description,
        run.status,
        run.started_at,
        run.completed_at,
        run.duration_ms,
        run.created_by,
        run.created_at,
        run.updated_at,
        run.revision
    from runs as run
    where
        run.organization_id = $1
        and run.project_id = $2
        and run.id < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        and run.status = coalesce($4::text, run.status)
        and run.deleted_at is null
        and (
            $5::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = run.organization_id
                    and visible.project_id = run.project_id
                    and visible.user_id = $6
            )
        )
    order by run.id desc
    limit $7::bigint
    """, parameters: [2950, 2950, 2950, 25, 16, 2950, 20], columns: [2950, 2950, 2950, 25, 25, 25, 1184, 1184, 20, 2950, 1184, 1184, 20])
  static func listProjectRuns(organizationID: UUID, projectID: UUID, beforeID: UUID?, status: String?, seesAllProjects: Bool, userID: UUID, pageSize: Int64) -> Query<[ListProjectRunsRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: projectID)
    parameters.append(uuid: beforeID)
    parameters.append(text: status)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    parameters.append(int8: pageSize)
    return Query(listProjectRunsStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListProjectRunsRow(id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2), name: try row.text(3), description: try row.text(4), status: try row.text(5), startedAt: try row.timestampOrNil(6), completedAt: try row.timestampOrNil(7), durationMs: try row.int8OrNil(8), createdBy: try row.uuid(9), createdAt: try row.timestamp(10), updatedAt: try row.timestamp(11), revision: try row.int8(12)) }
    }
  }

  struct ListExperimentRunsRow: Sendable, Equatable {
    var id: UUID
    var experimentID: UUID
    var projectID: UUID
    var name: String
    var description: String
    var status: String
    var startedAt: Int64?
    var completedAt: Int64?
    var durationMs: Int64?
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let listExperimentRunsStatement = Statement(
    "tracking.listExperimentRuns",
    """
    select
        run.id,
        run.experiment_id,
        run.project_id,
        run.name,
        run.description,
        run.status,
        run.started_at,
        run.completed_at,
        run.duration_ms,
        run.created_by,
        run.created_at,
        run.updated_at,
        run.revision
    from runs as run
    where
        run.organization_id = $1
        and run.experiment_id = $2
        and run.project_id = coalesce($3::uuid, run.project_id)
        and run.id < coalesce($4::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        and run.status = coalesce($5::text, run.status)
        and run.deleted_at is null
        and (
            $6::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = run.organization_id
                    and visible.project_id = run.project_id
                    and visible.user_id = $7
            )
        )
    order by run.id desc
    limit $8::bigint
    """, parameters: [2950, 2950, 2950, 2950, 25, 16, 2950, 20], columns: [2950, 2950, 2950, 25, 25, 25, 1184, 1184, 20, 2950, 1184, 1184, 20])
  static func listExperimentRuns(organizationID: UUID, experimentID: UUID, projectID: UUID?, beforeID: UUID?, status: String?, seesAllProjects: Bool, userID: UUID, pageSize: Int64) -> Query<[ListExperimentRunsRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: experimentID)
    parameters.append(uuid: projectID)
    parameters.append(uuid: beforeID)
    parameters.append(text: status)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    parameters.append(int8: pageSize)
    return Query(listExperimentRunsStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListExperimentRunsRow(id: try row.uuid(0), experimentID: try row.uuid(1), projectID: try row.uuid(2), name: try row.text(3), description: try row.text(4), status: try row.text(5), startedAt: try row.timestampOrNil(6), completedAt: try row.timestampOrNil(7), durationMs: try row.int8OrNil(8), createdBy: try row.uuid(9), createdAt: try row.timestamp(10), updatedAt: try row.timestamp(11), revision: try row.int8(12)) }
    }
  }

}