internal import Postgres

enum ExperimentsQueries {
  private static let createExperimentStatement = Statement(
    "tracking.createExperiment",
    """
    insert into experiments (
        organization_id, id, project_id, name, description, config, created_by, started_at,
        created_at, updated_at
    )
    values (
        $1,
        $2,
        coalesce(
            (
                select visible.project_id
                from visible_projects as visible
                where
                    visible.organization_id = $1
                    and visible.project_id = $3
                    and visible.user_id = $4
            ),
            needletail_refuse('PROJECT_NOT_FOUND', null, null::uuid)
        ),
        $5,
        $6,
        ($7::text)::jsonb,
        $4,
        $8,
        $8,
        $8
    )
    """, parameters: [2950, 2950, 2950, 2950, 25, 25, 25, 1184], columns: [])
  static func createExperiment(organizationID: UUID, id: UUID, projectID: UUID, userID: UUID, name: String, description: String, configJSON: String, createdAt: Int64) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(uuid: projectID)
    parameters.append(uuid: userID)
    parameters.append(text: name)
    parameters.append(text: description)
    parameters.append(text: configJSON)
    parameters.append(timestamp: createdAt)
    return Query(createExperimentStatement, parameters)
  }

  struct GetExperimentRow: Sendable, Equatable {
    var id: UUID
    var projectID: UUID
    var name: String
    var description: String
    var configJSON: String
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let getExperimentStatement = Statement(
    "tracking.getExperiment",
    """
    select
        experiment.id,
        experiment.project_id,
        experiment.name,
        experiment.description,
        experiment.config::text as "config_json!",
        experiment.created_by,
        experiment.created_at,
        experiment.updated_at,
        experiment.revision
    from experiments as experiment
    where
        experiment.organization_id = $1
        and experiment.id = $2
        and experiment.deleted_at is null
        and (
            $3::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = experiment.organization_id
                    and visible.project_id = experiment.project_id
                    and visible.user_id = $4
            )
        )
    """, parameters: [2950, 2950, 16, 2950], columns: [2950, 2950, 25, 25, 25, 2950, 1184, 1184, 20])
  static func getExperiment(organizationID: UUID, id: UUID, seesAllProjects: Bool, userID: UUID) -> Query<GetExperimentRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    return Query(getExperimentStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in GetExperimentRow(id: try row.uuid(0), projectID: try row.uuid(1), name: try row.text(2), description: try row.text(3), configJSON: try row.text(4), createdBy: try row.uuid(5), createdAt: try row.timestamp(6), updatedAt: try row.timestamp(7), revision: try row.int8(8)) }
    }
  }

  struct LockExperimentRow: Sendable, Equatable {
    var id: UUID
    var projectID: UUID
    var name: String
    var description: String
    var configJSON: String
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let lockExperimentStatement = Statement(
    "tracking.lockExperiment",
    """
    select
        experiment.id,
        experiment.project_id,
        experiment.name,
        experiment.description,
        experiment.config::text as "config_json!",
        experiment.created_by,
        experiment.created_at,
        experiment.updated_at,
        experiment.revision
    from experiments as experiment
    where
        experiment.organization_id = $1
        and experiment.id = $2
        and experiment.deleted_at is null
        and (
            $3::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = experiment.organization_id
                    and visible.project_id = experiment.project_id
                    and visible.user_id = $4
            )
        )
    for no key update of experiment
    """, parameters: [2950, 2950, 16, 2950], columns: [2950, 2950, 25, 25, 25, 2950, 1184, 1184, 20])
  static func lockExperiment(organizationID: UUID, id: UUID, seesAllProjects: Bool, userID: UUID) -> Query<LockExperimentRow?> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    return Query(lockExperimentStatement, parameters) { reply throws(PostgresError) in
      try reply.optional { row throws(PostgresError) in LockExperimentRow(id: try row.uuid(0), projectID: try row.uuid(1), name: try row.text(2), description: try row.text(3), configJSON: try row.text(4), createdBy: try row.uuid(5), createdAt: try row.timestamp(6), updatedAt: try row.timestamp(7), revision: try row.int8(8)) }
    }
  }

  private static let updateExperimentStatement = Statement(
    "tracking.updateExperiment",
    """
    update experiments
    set
        name = coalesce($1, name),
        description = coalesce($2, description),
        config = coalesce(($3::text)::jsonb, config),
        updated_at = $4
    where organization_id = $5 and id = $6
    """, parameters: [25, 25, 25, 1184, 2950, 2950], columns: [])
  static func updateExperiment(name: String?, description: String?, configJSON: String?, updatedAt: Int64, organizationID: UUID, id: UUID) -> Query<Int> {
    var parameters = Parameters()
    parameters.append(text: name)
    parameters.append(text: description)
    parameters.append(text: configJSON)
    parameters.append(timestamp: updatedAt)
    parameters.append(uuid: organizationID)
    parameters.append(uuid: id)
    return Query(updateExperimentStatement, parameters)
  }

  struct ListExperimentsRow: Sendable, Equatable {
    var id: UUID
    var projectID: UUID
    var name: String
    var description: String
    var configJSON: String
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let listExperimentsStatement = Statement(
    "tracking.listExperiments",
    """
    select
        experiment.id,
        experiment.project_id,
        experiment.name,
        experiment.description,
        experiment.config::text as "config_json!",
        experiment.created_by,
        experiment.created_at,
        experiment.updated_at,
        experiment.revision
    from experiments as experiment
    where
        experiment.organization_id = $1
        and experiment.id
        < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        and experiment.name_folded = coalesce(lower($3::text), experiment.name_folded)
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
    order by experiment.id desc
    limit $6::bigint
    """, parameters: [2950, 2950, 25, 16, 2950, 20], columns: [2950, 2950, 25, 25, 25, 2950, 1184, 1184, 20])
  static func listExperiments(organizationID: UUID, beforeID: UUID?, name: String?, seesAllProjects: Bool, userID: UUID, pageSize: Int64) -> Query<[ListExperimentsRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: beforeID)
    parameters.append(text: name)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    parameters.append(int8: pageSize)
    return Query(listExperimentsStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListExperimentsRow(id: try row.uuid(0), projectID: try row.uuid(1), name: try row.text(2), description: try row.text(3), configJSON: try row.text(4), createdBy: try row.uuid(5), createdAt: try row.timestamp(6), updatedAt: try row.timestamp(7), revision: try row.int8(8)) }
    }
  }

  struct ListProjectExperimentsRow: Sendable, Equatable {
    var id: UUID
    var projectID: UUID
    var name: String
    var description: String
    var configJSON: String
    var createdBy: UUID
    var createdAt: Int64
    var updatedAt: Int64
    var revision: Int64
  }
  private static let listProjectExperimentsStatement = Statement(
    "tracking.listProjectExperiments",
    """
    select
        experiment.id,
        experiment.project_id,
        experiment.name,
        experiment.description,
        experiment.config::text as "config_json!",
        experiment.created_by,
        experiment.created_at,
        experiment.updated_at,
        experiment.revision
    from experiments as experiment
    where
        experiment.organization_id = $1
        and experiment.project_id = $2
        and experiment.id
        < coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
        and experiment.name_folded = coalesce(lower($4::text), experiment.name_folded)
        and experiment.deleted_at is null
        and (
            $5::boolean
            or exists (
                select from visible_projects as visible
                where
                    visible.organization_id = experiment.organization_id
                    and visible.project_id = experiment.project_id
                    and visible.user_id = $6
            )
        )
    order by experiment.id desc
    limit $7::bigint
    """, parameters: [2950, 2950, 2950, 25, 16, 2950, 20], columns: [2950, 2950, 25, 25, 25, 2950, 1184, 1184, 20])
  static func listProjectExperiments(organizationID: UUID, projectID: UUID, beforeID: UUID?, name: String?, seesAllProjects: Bool, userID: UUID, pageSize: Int64) -> Query<[ListProjectExperimentsRow]> {
    var parameters = Parameters()
    parameters.append(uuid: organizationID)
    parameters.append(uuid: projectID)
    parameters.append(uuid: beforeID)
    parameters.append(text: name)
    parameters.append(bool: seesAllProjects)
    parameters.append(uuid: userID)
    parameters.append(int8: pageSize)
    return Query(listProjectExperimentsStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListProjectExperimentsRow(id: try row.uuid(0), projectID: try row.uuid(1), name: try row.text(2), description: try row.text(3), configJSON: try row.text(4), createdBy: try row.uuid(5), createdAt: try row.timestamp(6), updatedAt: try row.timestamp(7), revision: try row.int8(8)) }
    }
  }

}