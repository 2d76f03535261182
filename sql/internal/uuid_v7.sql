create or replace function postroad.uuid_v7()
returns uuid
language sql
volatile parallel safe
as $$
  select (lpad(to_hex((date_part('epoch', clock_timestamp()) * 1000)::bigint * 16 + 7), 13, '0') || right(gen_random_uuid()::text, 21))::uuid
$$;

comment on function postroad.uuid_v7 is 'A new UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits.';

create or replace function postroad.uuid_at(at timestamptz)
returns uuid
language sql
immutable parallel safe
as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

comment on function postroad.uuid_at is 'The lowest UUIDv7 that can be made at a time: the bound between two days.';

create or replace function postroad.uuid_add(base uuid, steps bigint)
returns uuid
language sql
immutable parallel safe
as $$
  select (left(base::text, 24) || lpad(to_hex((('x0000' || right(base::text, 12))::bit(64)::bigint + steps) & 281474976710655), 12, '0'))::uuid
$$;

comment on function postroad.uuid_add is
'The UUID that many steps on, in its last 48 bits.';

create or replace function postroad.created_at(id uuid)
returns timestamptz
language sql
immutable parallel safe
as $$
  select to_timestamp(('x0000' || left(id::text, 8) || substr(id::text, 10, 4))::bit(64)::bigint::double precision / 1000)
$$;

comment on function postroad.created_at is 'When a UUIDv7 was made, to the millisecond.';
