'use strict';

const { Dashboard } = require('./dashboard');
const { dashboardOptions } = require('./options');

/** All guards and components of the process, as a page. */
function dashboard(options = {}) {
  return new Dashboard(undefined, dashboardOptions(options)).handler();
}

module.exports = { dashboard };
