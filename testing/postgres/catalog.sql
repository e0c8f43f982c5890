-- What an ingestion of the shop has to find, as one JSON document; expected.json is its result.
-- Names are lists of parts, so that nothing depends on how a dot is quoted.
with shop as (
    select oid, nspname, obj_description(oid, 'pg_namespace') as comment
    from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
),
relation as (
    select c.oid, s.nspname, c.relname, c.relkind, obj_description(c.oid, 'pg_class') as comment
    from pg_class c join shop s on s.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
),
attribute as (
    select r.oid, json_agg(a.attname order by a.attnum) as names
    from relation r join pg_attribute a on a.attrelid = r.oid
    where a.attnum > 0 and not a.attisdropped
    group by r.oid
),
foreign_key as (
    select f.nspname, f.relname, t.nspname as target_schema, t.relname as target,
        (select json_agg(a.attname order by k.place) from unnest(c.conkey) with ordinality k(number, place)
            join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.number) as columns,
        (select json_agg(a.attname order by k.place) from unnest(c.confkey) with ordinality k(number, place)
            join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number) as target_columns
    from pg_constraint c
        join relation f on f.oid = c.conrelid
        join relation t on t.oid = c.confrelid
    where c.contype = 'f'
),
routine as (
    select distinct s.nspname, p.proname, case p.prokind when 'p' then 'StoredProcedure' else 'Function' end as kind,
        obj_description(p.oid, 'pg_proc') as comment
    from pg_proc p join shop s on s.oid = p.pronamespace
    where p.prokind in ('f', 'p')
)
select jsonb_pretty(jsonb_build_object(
    'database', current_database(),
    'schemas', (select jsonb_agg(jsonb_build_object('name', nspname, 'comment', comment) order by nspname) from shop),
    'tables', (select jsonb_agg(jsonb_build_object('schema', nspname, 'name', relname, 'comment', comment,
            'type', case relkind when 'r' then 'Regular' else 'Partitioned' end, 'columns', names)
            order by nspname, relname)
        from relation join attribute using (oid) where relkind in ('r', 'p')),
    'views', (select jsonb_agg(jsonb_build_object('schema', nspname, 'name', relname, 'comment', comment,
            'type', case relkind when 'v' then 'View' else 'MaterializedView' end, 'columns', names)
            order by nspname, relname)
        from relation join attribute using (oid) where relkind in ('v', 'm')),
    'routines', (select jsonb_agg(jsonb_build_object('schema', nspname, 'name', proname, 'type', kind, 'comment', comment)
            order by nspname, proname)
        from routine),
    'foreignKeys', (select jsonb_agg(jsonb_build_object('schema', nspname, 'table', relname, 'columns', columns,
            'targetSchema', target_schema, 'target', target, 'targetColumns', target_columns)
            order by nspname, relname, columns::text)
        from foreign_key)
))
