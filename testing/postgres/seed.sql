-- The shop: three schemas of a small trading company, with most of what PostgreSQL's catalog can hold.
-- Run in the database `shop` by the role that is to own it. expected.json lists the result.

drop schema public;
create schema sales;
create schema inventory;
create schema hr;
comment on schema sales is 'Customers, orders and what they paid';
comment on schema inventory is 'Products, warehouses and stock';
comment on schema hr is 'People and how they are organised';

create type sales.order_state as enum ('new', 'paid', 'packed', 'shipped', 'returned');
create type hr.contract as enum ('permanent', 'temporary', 'apprentice');
create domain inventory.sku as text check (value ~ '^[A-Z]{3}-[0-9]{4}$');

-- hr -------------------------------------------------------------------------------------------------

create table hr.countries (
    code char(2) primary key,
    name text not null,
    currency char(3) not null
);
comment on table hr.countries is 'Countries the company trades with';
comment on column hr.countries.code is 'ISO 3166-1 alpha-2';

create table hr.offices (
    id serial primary key,
    country char(2) not null references hr.countries,
    city varchar(80) not null,
    location point,
    opened date
);

create table hr.departments (
    id serial primary key,
    parent int references hr.departments,
    name varchar(80) not null unique,
    budget numeric(14, 2) default 0
);
comment on table hr.departments is 'A tree of departments';

create table hr.employees (
    id bigint generated always as identity primary key,
    office int not null references hr.offices,
    department int not null references hr.departments,
    manager bigint references hr.employees,
    given_name text not null,
    family_name text not null,
    email text not null unique,
    born date,
    contract hr.contract not null default 'permanent',
    skills text[],
    photo bytea,
    hired_at timestamptz not null default now()
);
comment on table hr.employees is 'Everybody who is or was employed';
comment on column hr.employees.skills is 'Free words, most important first';

create table hr.salaries (
    employee bigint not null references hr.employees,
    valid daterange not null,
    amount numeric(10, 2) not null check (amount > 0),
    primary key (employee, valid)
);

create table hr.absences (
    id serial primary key,
    employee bigint not null references hr.employees,
    since date not null,
    days smallint not null,
    reason text
);

create table hr.trainings (
    id serial primary key,
    title text not null,
    hours real
);

create table hr.attendances (
    employee bigint references hr.employees,
    training int references hr.trainings,
    passed boolean,
    primary key (employee, training)
);

create table hr.logins (
    id bigserial primary key,
    employee bigint references hr.employees,
    address inet not null,
    hardware macaddr,
    at timestamp not null default now(),
    took interval
);

create table hr."Straße & Größe" (
    "Länge" double precision,
    "Straße" text,
    "名前" text
);
comment on table hr."Straße & Größe" is 'Names beyond ASCII, with blanks';

create table hr.applications (
    id uuid primary key,
    for_department int references hr.departments,
    received time with time zone,
    letter xml,
    score int4range
);

-- inventory ------------------------------------------------------------------------------------------

create table inventory.suppliers (
    id serial primary key,
    country char(2) references hr.countries,
    name text not null,
    contact jsonb,
    buyer bigint references hr.employees
);
comment on column inventory.suppliers.buyer is 'The employee who buys there';

create table inventory.categories (
    id serial primary key,
    parent int references inventory.categories,
    name text not null
);

create table inventory.brands (id serial primary key, name text not null unique);

create table inventory.products (
    sku inventory.sku primary key,
    category int not null references inventory.categories,
    brand int references inventory.brands,
    supplier int references inventory.suppliers,
    name text not null,
    attributes jsonb not null default '{}',
    price numeric(10, 2) not null,
    weight_kg real,
    tags text[] default '{}',
    searchable tsvector,
    discontinued boolean not null default false
);
comment on table inventory.products is 'What can be sold';

create table inventory.prices (
    sku inventory.sku references inventory.products,
    since timestamptz,
    price numeric(10, 2) not null,
    primary key (sku, since)
);

create table inventory.warehouses (
    id smallint primary key,
    office int references hr.offices,
    name text not null,
    area polygon
);

create table inventory.bins (
    warehouse smallint references inventory.warehouses,
    aisle smallint,
    shelf smallint,
    capacity int,
    primary key (warehouse, aisle, shelf)
);

create table inventory.stock (
    sku inventory.sku references inventory.products,
    warehouse smallint,
    aisle smallint,
    shelf smallint,
    quantity int not null check (quantity >= 0),
    primary key (sku, warehouse, aisle, shelf),
    foreign key (warehouse, aisle, shelf) references inventory.bins (warehouse, aisle, shelf)
);
comment on table inventory.stock is 'How much lies where; refers to a bin by three columns';

create table inventory.movements (
    id bigserial primary key,
    sku inventory.sku not null references inventory.products,
    from_warehouse smallint references inventory.warehouses,
    to_warehouse smallint references inventory.warehouses,
    quantity int not null,
    at timestamptz not null default now(),
    by_employee bigint references hr.employees
);

create table inventory.counts (
    id serial primary key,
    warehouse smallint references inventory.warehouses,
    counted_on date,
    result json
);

create table inventory.purchase_orders (
    number bigint primary key,
    supplier int not null references inventory.suppliers,
    placed timestamptz default now(),
    note text
);

create table inventory.purchase_lines (
    number bigint references inventory.purchase_orders,
    line smallint,
    sku inventory.sku references inventory.products,
    quantity int,
    unit_price money,
    primary key (number, line)
);

create table inventory."audit.log" (
    id bigserial primary key,
    at timestamptz,
    what text
);
comment on table inventory."audit.log" is 'A name with a dot in it';

-- sales ----------------------------------------------------------------------------------------------

create table sales.customers (
    id uuid primary key default gen_random_uuid(),
    country char(2) references hr.countries,
    name text not null,
    email text,
    preferences jsonb,
    newsletters text[],
    last_address inet,
    balance numeric(12, 2) default 0,
    created timestamptz not null default now()
);
comment on table sales.customers is 'People and companies who buy';
comment on column sales.customers.preferences is 'Whatever the web shop remembers';

create table sales.addresses (
    id serial primary key,
    customer uuid not null references sales.customers on delete cascade,
    line1 text not null,
    line2 text,
    postcode varchar(12),
    city text,
    country char(2) references hr.countries
);

create table sales.orders (
    id bigint generated always as identity primary key,
    customer uuid not null references sales.customers,
    ship_to int references sales.addresses,
    handled_by bigint references hr.employees,
    state sales.order_state not null default 'new',
    placed timestamptz not null default now(),
    note text
);
comment on table sales.orders is 'One order of one customer';

create table sales.order_lines (
    order_id bigint references sales.orders on delete cascade,
    line smallint,
    sku inventory.sku not null references inventory.products,
    quantity int not null check (quantity > 0),
    price numeric(10, 2) not null,
    total numeric(12, 2) generated always as (quantity * price) stored,
    primary key (order_id, line)
);

create table sales.payments (
    id uuid primary key default gen_random_uuid(),
    order_id bigint not null references sales.orders,
    amount numeric(12, 2) not null,
    method text,
    paid_at timestamptz
);

create table sales.invoices (
    number bigint primary key,
    order_id bigint unique references sales.orders,
    issued date not null,
    document bytea
);

create table sales.shipments (
    id serial primary key,
    order_id bigint references sales.orders,
    warehouse smallint references inventory.warehouses,
    carrier text,
    tracking text,
    left_at timestamptz
);

create table sales.returns (
    id serial primary key,
    order_id bigint,
    line smallint,
    reason text,
    foreign key (order_id, line) references sales.order_lines (order_id, line)
);

create table sales.vouchers (
    code varchar(20) primary key,
    percent smallint check (percent between 1 and 100),
    valid tstzrange
);

create table sales.order_vouchers (
    order_id bigint references sales.orders,
    code varchar(20) references sales.vouchers,
    primary key (order_id, code)
);

create table sales.reviews (
    id bigserial primary key,
    sku inventory.sku references inventory.products,
    customer uuid references sales.customers,
    stars smallint check (stars between 1 and 5),
    words text,
    written date
);

create table sales.carts (
    customer uuid primary key references sales.customers,
    content jsonb not null,
    changed timestamp(3) not null default now()
);

create table sales.campaigns (
    id serial primary key,
    name text not null,
    runs daterange,
    matrix int[][],
    flags bit(8),
    mask varbit
);

create table sales.visits (
    at timestamptz not null,
    customer uuid,
    page text,
    took_ms int
) partition by range (at);
comment on table sales.visits is 'Page views, one partition per year';
create table sales.visits_2025 partition of sales.visits for values from ('2025-01-01') to ('2026-01-01');
create table sales.visits_2026 partition of sales.visits for values from ('2026-01-01') to ('2027-01-01');

create table sales.exchange_rates (
    currency char(3),
    day date,
    rate double precision not null,
    primary key (currency, day)
);

create table sales.settings (key text primary key, value json, changed_by bigint references hr.employees);

-- views ----------------------------------------------------------------------------------------------

create view sales.open_orders as
    select o.id, c.name as customer, o.state, o.placed
    from sales.orders o join sales.customers c on c.id = o.customer
    where o.state in ('new', 'paid', 'packed');
comment on view sales.open_orders is 'Orders that still want work';

create view sales.order_totals as
    select order_id, sum(total) as total, count(*) as lines from sales.order_lines group by order_id;

create view sales.customer_value as
    select c.id, c.name, coalesce(sum(t.total), 0) as spent
    from sales.customers c
    left join sales.orders o on o.customer = c.id
    left join sales.order_totals t on t.order_id = o.id
    group by c.id, c.name;

create materialized view sales.revenue_by_month as
    select date_trunc('month', o.placed) as month, sum(l.total) as revenue
    from sales.orders o join sales.order_lines l on l.order_id = o.id
    group by 1;
comment on materialized view sales.revenue_by_month is 'Refreshed each night';

create view inventory.stock_levels as
    select p.sku, p.name, coalesce(sum(s.quantity), 0) as quantity
    from inventory.products p left join inventory.stock s on s.sku = p.sku
    group by p.sku, p.name;

create view inventory.to_reorder as
    select sku, name from inventory.stock_levels where quantity < 10;

create view hr.headcount as
    select d.name as department, count(e.id) as people
    from hr.departments d left join hr.employees e on e.department = d.id
    group by d.name;

create view hr.sellers as
    select e.id, e.given_name, e.family_name, count(o.id) as orders
    from hr.employees e join sales.orders o on o.handled_by = e.id
    group by e.id, e.given_name, e.family_name;

-- functions and procedures ---------------------------------------------------------------------------

create function sales.order_total(wanted bigint) returns numeric language sql stable as
    $$ select coalesce(sum(total), 0) from sales.order_lines where order_id = wanted $$;
comment on function sales.order_total(bigint) is 'What an order costs';

create function sales.orders_of(wanted uuid) returns setof sales.orders language sql stable as
    $$ select * from sales.orders where customer = wanted $$;

create function inventory.available(wanted inventory.sku) returns bigint language plpgsql stable as $$
begin
    return (select coalesce(sum(quantity), 0) from inventory.stock where sku = wanted);
end $$;

create function hr.full_name(person hr.employees) returns text language sql immutable as
    $$ select person.given_name || ' ' || person.family_name $$;

create procedure inventory.move(what inventory.sku, origin smallint, target smallint, pieces int)
language plpgsql as $$
begin
    insert into inventory.movements (sku, from_warehouse, to_warehouse, quantity)
    values (what, origin, target, pieces);
end $$;

create procedure hr.raise_salaries(percent numeric) language sql as
    $$ update hr.salaries set amount = amount * (1 + percent / 100) $$;

-- rows -----------------------------------------------------------------------------------------------

insert into hr.countries values
    ('CH', 'Switzerland', 'CHF'), ('DE', 'Germany', 'EUR'), ('JP', 'Japan', 'JPY'), ('BR', 'Brazil', 'BRL');
insert into hr.offices (country, city, location, opened) values
    ('CH', 'Zürich', point(8.54, 47.37), '2001-05-01'), ('JP', '東京', point(139.69, 35.69), '2012-10-15');
insert into hr.departments (parent, name, budget) values
    (null, 'Company', 0), (1, 'Sales', 250000), (1, 'Logistics', 180000);
insert into hr.employees (office, department, given_name, family_name, email, born, skills)
    select 1 + n % 2, 1 + n % 3, 'Given' || n, 'Family' || n, 'person' || n || '@example.org',
           date '1970-01-01' + n * 100, array['selling', 'counting']
    from generate_series(1, 60) n;
update hr.employees set manager = 1 where id > 1;
insert into hr.salaries select id, daterange('2025-01-01', null), 4000 + id * 10 from hr.employees;
insert into hr.logins (employee, address, hardware, took)
    select 1 + n % 60, ('10.0.' || n % 256 || '.1')::inet, '08:00:2b:01:02:03', interval '3 seconds'
    from generate_series(1, 300) n;
insert into hr."Straße & Größe" values (1.5, 'Bahnhofstraße', '駅前通り');

insert into inventory.categories (parent, name) values (null, 'Everything'), (1, 'Books'), (1, 'Tools');
insert into inventory.brands (name) values ('Acme'), ('Contoso');
insert into inventory.suppliers (country, name, contact, buyer) values
    ('DE', 'Werkzeug AG', '{"phone": "+49 30 000000"}', 3), ('JP', '本屋', '{"mail": "info@example.jp"}', 4);
insert into inventory.products (sku, category, brand, supplier, name, attributes, price, weight_kg, tags)
    select 'ABC-' || lpad(n::text, 4, '0'), 2 + n % 2, 1 + n % 2, 1 + n % 2, 'Product ' || n,
           jsonb_build_object('colour', case n % 2 when 0 then 'red' else 'blue' end), 5 + n, n / 10.0,
           array['tag' || n % 7]
    from generate_series(1, 200) n;
insert into inventory.warehouses (id, office, name) values (1, 1, 'North'), (2, 2, 'South');
insert into inventory.bins select w, a, s, 100 from generate_series(1, 2) w, generate_series(1, 5) a, generate_series(1, 4) s;
insert into inventory.stock
    select sku, 1, 1 + right(sku, 4)::int % 5, 1 + right(sku, 4)::int % 4, right(sku, 4)::int % 50
    from inventory.products;

insert into sales.customers (country, name, email, preferences, newsletters, last_address, balance)
    select (array['CH', 'DE', 'JP', 'BR'])[1 + n % 4], 'Customer ' || n, 'c' || n || '@example.com',
           '{"language": "de"}', array['weekly'], '2001:db8::1', n
    from generate_series(1, 120) n;
insert into sales.orders (customer, handled_by, state)
    select id, 1 + (row_number() over (order by name)) % 60, 'paid' from sales.customers;
insert into sales.order_lines (order_id, line, sku, quantity, price)
    select o.id, l, 'ABC-' || lpad((1 + (o.id * l) % 200)::text, 4, '0'), l, 9.90 from sales.orders o, generate_series(1, 3) l;
insert into sales.visits select timestamptz '2025-06-01' + n * interval '1 day', null, '/', n from generate_series(1, 400) n;
refresh materialized view sales.revenue_by_month;
