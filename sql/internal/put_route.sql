create or replace function postroad.put_route(
  method     text,
  path       text,
  function   text,
  roles      text[],
  summary    text,
  response   jsonb,
  parameters jsonb default '{}',
  request    jsonb default null,
  success    integer default 200,
  cost       integer default 1,
  tenants    boolean default true,
  is_stream  boolean default false
)
returns void
language sql
volatile
as $$
  insert into postroad.api_routes (method, path, function, roles, tenants, cost, success, is_stream, summary, parameters, request, response)
  values (method, path, function, roles, tenants, cost, success, is_stream, summary, parameters, request, response)
  on conflict on constraint api_routes_pkey do update
  set function = excluded.function, roles = excluded.roles, tenants = excluded.tenants, cost = excluded.cost, success = excluded.success,
    is_stream = excluded.is_stream, summary = excluded.summary, parameters = excluded.parameters, request = excluded.request,
    response = excluded.response, seeded = pg_current_xact_id()
$$;

comment on function postroad.put_route is
$$Makes an endpoint of the HTTP API, in the file of its function, at each migrate. roles: a caller needs one of them. tenants: whether callers that are bound to a tenant may
call it. cost: what a call takes of the caller's rate limit. parameters: {name: {"in": "path" or "query", "required", "schema", "description"}}.$$;
