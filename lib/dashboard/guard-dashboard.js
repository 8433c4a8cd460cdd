'use strict';

const { Dashboard } = require('./dashboard');
const { dashboardOptions } = require('./options');

/** One guard and its parts, as a page. */
function dashboardOf({ name }, options = {}) {
  return new Dashboard(name, dashboardOptions(options)).handler();
}

module.exports = { dashboardOf };
