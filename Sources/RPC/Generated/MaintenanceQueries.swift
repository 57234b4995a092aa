internal import Postgres

enum MaintenanceQueries {
  private static let ensurePartitionsStatement = Statement(
    "rpc.ensurePartitions",
    """
    select needletail_ensure_partitions($1::integer) as "made!"
    """, parameters: [23], columns: [20])
  static func ensurePartitions(monthsAhead: Int32) -> Query<Int64> {
    var parameters = Parameters()
    parameters.append(int4: monthsAhead)
    return Query(ensurePartitionsStatement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in try row.int8(0) }
    }
  }

  struct ListPartitionsRow: Sendable, Equatable {
    var tableName: String
    var partitionName: String
    var bounds: String
    var estimatedRows: Int64
    var sizeBytes: Int64
  }
  private static let listPartitionsStatement = Statement(
    "rpc.listPartitions",
    """
    select
        parent.relname::text as "table_name!",
        child.relname::text as "partition_name!",
        pg_get_expr(child.relpartbound, child.oid) as "bounds!",
        greatest(child.reltuples, 0)::bigint as "estimated_rows!",
        pg_total_relation_size(child.oid) as "size_bytes!"
    from pg_inherits as inheritance
    inner join pg_class as parent on inheritance.inhparent = parent.oid
    inner join pg_class as child on inheritance.inhrelid = child.oid
    where
        parent.relnamespace = 'public'::regnamespace
        and parent.relkind = 'p' and child.relkind = 'r'
    order by parent.relname, child.relname
    """, parameters: [], columns: [25, 25, 25, 20, 20])
  static func listPartitions() -> Query<[ListPartitionsRow]> {
    let parameters = Parameters()
    return Query(listPartitionsStatement, parameters) { reply throws(PostgresError) in
      try reply.many { row throws(PostgresError) in ListPartitionsRow(tableName: try row.text(0), partitionName: try row.text(1), bounds: try row.text(2), estimatedRows: try row.int8(3), sizeBytes: try row.int8(4)) }
    }
  }

  private static let deleteIdempotencyRecordsStatement = Statement(
    "rpc.deleteIdempotencyRecords",
    """
    with deleted as (
        delete from idempotency_records
        where
            (organization_id, principal_id, key) in (
                select
                    expired.organization_id,
                    expired.principal_id,
                    expired.key
                from idempotency_records as expired
                where not expired.is_permanent and expired.created_at < $1
                order by expired.created_at
                limit $2
                for update skip locked
            )
        returning 1
    )
    
    select count(*) as "deleted!" from deleted
    """, parameters: [1184, 20], columns: [20])
  static func deleteIdempotencyRecords(before: Int64, batchSize: Int64) -> Query<Int64> {
    var parameters = Parameters()
    parameters.append(timestamp: before)
    parameters.append(int8: batchSize)
    return Query(deleteIdempotencyRecordsStatement, parameters) { reply throws(PostgresError) in
      try reply.one { row throws(PostgresError) in try row.int8(0) }
    }
  }

}