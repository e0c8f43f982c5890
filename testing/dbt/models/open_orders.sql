{{ config(materialized="view") }}
select o.id, c.name as customer, o.state, o.placed
from {{ source("sales", "orders") }} o
join {{ source("sales", "customers") }} c on c.id = o.customer
where o.state in ('new', 'paid', 'packed')
