'use strict';

const { getArgumentValues, getNamedType } = require('graphql');

/** More than any quota. Products of large lists would be no exact integers. */
const MOST = 1_000_000_000;

/**
 * What a valid document costs, before it runs: one unit for each object that it may return, which a list multiplies by its
 * argument `first`. Aliases are fields of their own, and fragments are followed.
 */
function costOf(schema, { definitions }, variables = {}) {
  const fragments = new Map();
  for (const { kind, name, typeCondition, selectionSet } of definitions) {
    if (kind === 'FragmentDefinition') fragments.set(name.value, { typeCondition, selectionSet });
  }

  const costs = {
    Field: (type, field) => {
      if (field.selectionSet === undefined) return 0;
      // `__schema` and `__type` are fields of no type.
      const definition = type.getFields?.()[field.name.value];
      if (definition === undefined) return 1;
      const { first = 1 } = getArgumentValues(definition, field, variables);
      const size = Number.isInteger(first) && first > 0 ? first : 1;
      return size * (1 + costOfAll(getNamedType(definition.type), field.selectionSet));
    },
    InlineFragment: (type, { typeCondition, selectionSet }) =>
      costOfAll(typeCondition === undefined ? type : schema.getType(typeCondition.name.value), selectionSet),
    FragmentSpread: (type, { name }) => {
      const fragment = fragments.get(name.value);
      // Once for each: fragments within fragments would multiply the work.
      fragment.cost ??= costs.InlineFragment(type, fragment);
      return fragment.cost;
    },
  };

  function costOfAll(type, { selections }) {
    const cost = selections.reduce((sum, selection) => sum + costs[selection.kind](type, selection), 0);
    return Math.min(cost, MOST);
  }

  const operations = definitions.filter(({ kind }) => kind === 'OperationDefinition');
  return operations.reduce((sum, { operation, selectionSet }) => {
    return Math.min(sum + costOfAll(schema.getRootType(operation), selectionSet), MOST);
  }, 0);
}

module.exports = { costOf };
